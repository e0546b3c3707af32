"""Where commands for a shard are executed. Pure.

The owner is a hint: what is executed elsewhere is as right, because the conditional append decides. So a call takes one
hop at most, and wherever it cannot be forwarded it is executed by the node it has reached.
"""

from __future__ import annotations

from collections.abc import Mapping

from kit.partitions import is_partition_key, partition_key
from kit.rendezvous import pick
from kit.target import partition_of

SILENCE_SECONDS = 0.3
"""An owner from whose connection nothing was heard for so long, while an answer is due, counts as unreachable."""
# The owner has surely done nothing, or cannot be asked: with the same op_ids anybody may execute it.
_NOT_THERE = frozenset({"NODE_UNREACHABLE", "NO_NODE", "SHARD_NOT_SERVED", "DRAINING", "NO_SUCH_METHOD"})


def shard_of(tenant: str, key: str, shards: int) -> int:
    """The shard that a key is decided in; the same in every process."""
    return partition_of(tenant, key, shards)


def owner_of(shard: int, nodes: tuple[str, ...]) -> str:
    """The node that owns a shard, by rendezvous hashing; "" where there is none."""
    return pick(partition_key(shard), nodes) if nodes else ""


def destination(shard: int, nodes: tuple[str, ...], own: str, *, is_forwarded: bool) -> str:
    """The node to forward to; "": it is executed here."""
    owner = owner_of(shard, nodes)
    return "" if is_forwarded or owner == own else owner


def is_executed_here(reason: str, *, is_broken: bool) -> bool:
    """Whether a call whose forwarding failed for this reason is executed by the node that forwarded it.

    `is_broken`: the connection broke, or was silent, before an answer came.
    """
    return is_broken or reason in _NOT_THERE


def routed_key(sharded: Mapping[str, int], service: str, tenant: str, key: str) -> str:
    """The key that routes a call to a node: of a sharded service that of the key's shard, otherwise the key itself."""
    shards = sharded.get(service)
    if not shards or is_partition_key(key):
        return key
    return partition_key(shard_of(tenant, key, shards))
