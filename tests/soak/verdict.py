"""Whether a measurement that was taken again and again stays as it was: its last third against its first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 6
"""Lines without which nothing can be said."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one interval measured."""

    appends: float
    """A second."""
    changes: float
    """Answered, a second."""
    failed: int
    """Calls that were refused or without an answer."""
    p50: float
    """Of an append, milliseconds."""
    p99: float
    sstables: float
    """From which a read of a shard's tail merges, at the replica with the most of them."""
    tombstones: float
    """Passed by such a read, the 99th percentile of the node with the most."""
    read_p99: float
    """Of local reads of the entries at the slowest node, milliseconds."""
    entries: float
    """MiB of disk of the ledger's tables, at the node with the most."""
    paxos: float
    """MiB of disk of system.paxos, at the node with the most."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much the last third may be above the first: `times` it, and `more` besides."""

    name: str
    unit: str
    times: float
    more: float


BOUNDS = (
    Bound("p50", "ms", 1.25, 2.0),
    Bound("p99", "ms", 1.5, 10.0),
    Bound("sstables", "", 1.0, 1.0),
    Bound("entries", "MiB", 1.25, 16.0),
    Bound("paxos", "MiB", 1.25, 16.0),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The averages of the first and the last third of one measurement."""

    bound: Bound
    first: float
    last: float

    @property
    def is_flat(self) -> bool:
        """Whether it did not grow beyond the bound."""
        return self.last <= self.first * self.bound.times + self.bound.more

    def __str__(self) -> str:
        said = "flat" if self.is_flat else "GROWS"
        return f"{self.bound.name:<10} {self.first:8.1f} -> {self.last:8.1f} {self.bound.unit:<4} {said}"


def findings(lines: Sequence[Line]) -> list[Finding]:
    """What became of each measurement, none where there are fewer than `LEAST` lines.

    The first tenth is left out: virtual machines are still compiling, and nothing has been trimmed yet.
    """
    if len(lines) < LEAST:
        return []
    steady = lines[len(lines) // 10 :]
    third = len(steady) // 3
    return [
        Finding(bound, _average(bound.name, steady[:third]), _average(bound.name, steady[-third:])) for bound in BOUNDS
    ]


def _average(name: str, lines: Sequence[Line]) -> float:
    return sum(float(getattr(line, name)) for line in lines) / len(lines)
