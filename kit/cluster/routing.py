"""Where commands for a shard are executed. Pure.

The assignment is a hint: another node may execute commands as well, because the conditional append decides. So a call
takes at most one hop, and a node that cannot forward a call executes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from kit.cluster.partitions import is_partition_key, owners, partition_in
from kit.cluster.rendezvous import pick
from kit.target import partition_of

SILENCE_SECONDS = 0.3
"""A node whose connection is silent for so long, while an answer is due, counts as unreachable."""
# The other node has done nothing, or cannot be reached: this node can execute the commands with the same op_ids.
_NOT_THERE = frozenset({"NODE_UNREACHABLE", "NO_NODE", "SHARD_NOT_SERVED", "DRAINING", "NO_SUCH_METHOD"})


def shard_of(tenant: str, key: str, shards: int) -> int:
    """The shard of a key; the same in every process."""
    return partition_of(tenant, key, shards)


def destination(shard: int, shards: int, nodes: tuple[str, ...], own: str, *, is_forwarded: bool) -> str:
    """The node to forward to; "": execute here."""
    owner = owners(nodes, shards)[shard]
    return "" if is_forwarded or owner == own else owner


def is_executed_here(reason: str, *, is_broken: bool) -> bool:
    """Whether the forwarding node executes a call itself after forwarding failed for this reason.

    `is_broken`: the connection broke, or was silent, before an answer arrived.
    """
    return is_broken or reason in _NOT_THERE


def node_of(sharded: Mapping[str, int], service: str, tenant: str, key: str, nodes: tuple[str, ...]) -> str:
    """The node for calls with that key; for a sharded service the node that the key's shard is assigned to.

    Raises LookupError where there are no nodes.
    """
    shards = sharded.get(service)
    if not shards or not nodes:
        return pick(key, nodes)
    shard = partition_in(key) if is_partition_key(key) else shard_of(tenant, key, shards)
    return owners(nodes, shards)[shard]
