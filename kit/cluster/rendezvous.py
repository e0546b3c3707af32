"""The owner of a key: rendezvous hashing (Thaler and Ravishankar, 1998), with the same result in every process."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

_MASK = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def pick(key: str, nodes: tuple[str, ...]) -> str:
    """The node with the highest score for the key, whatever the order of `nodes`; raises LookupError without nodes.

    When a node leaves, only its own keys move, evenly to all others; a new node gets an even share from all.
    """
    if not nodes:
        raise LookupError("there is no node to pick")
    mark = _digest(key)
    return max(nodes, key=lambda node: (_score(mark, node), node))


def _score(mark: int, node: str) -> int:
    # The finalizer of splitmix64 over both digests: as good as hashing the pair again, at a third of the cost.
    mixed = mark ^ _node_digest(node)
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return mixed ^ (mixed >> 31)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


_node_digest = lru_cache(maxsize=4_096)(_digest)
