"""Where commands for a shard are executed. Pure.

The owner is a hint: what is executed elsewhere is as right, because the conditional append decides. So a call takes one
hop at most, and wherever it cannot be forwarded it is executed by the node it has reached.
"""

from __future__ import annotations

from collections.abc import Mapping

from kit.partitions import is_partition_key, owners, partition_in
from kit.rendezvous import pick
from kit.target import partition_of

SILENCE_SECONDS = 0.3
"""An owner from whose connection nothing was heard for so long, while an answer is due, counts as unreachable."""
# The owner has surely done nothing, or cannot be asked: with the same op_ids anybody may execute it.
_NOT_THERE = frozenset({"NODE_UNREACHABLE", "NO_NODE", "SHARD_NOT_SERVED", "DRAINING", "NO_SUCH_METHOD"})


def shard_of(tenant: str, key: str, shards: int) -> int:
    """The shard that a key is decided in; the same in every process."""
    return partition_of(tenant, key, shards)


def destination(shard: int, shards: int, nodes: tuple[str, ...], own: str, *, is_forwarded: bool) -> str:
    """The node to forward to; "": it is executed here."""
    owner = owners(nodes, shards)[shard]
    return "" if is_forwarded or owner == own else owner


def is_executed_here(reason: str, *, is_broken: bool) -> bool:
    """Whether a call whose forwarding failed for this reason is executed by the node that forwarded it.

    `is_broken`: the connection broke, or was silent, before an answer came.
    """
    return is_broken or reason in _NOT_THERE


def node_of(sharded: Mapping[str, int], service: str, tenant: str, key: str, nodes: tuple[str, ...]) -> str:
    """The node that a call with that key goes to: of a sharded service the owner of the key's shard.

    Raises LookupError where there are no nodes.
    """
    shards = sharded.get(service)
    if not shards or not nodes:
        return pick(key, nodes)
    shard = partition_in(key) if is_partition_key(key) else shard_of(tenant, key, shards)
    return owners(nodes, shards)[shard]
