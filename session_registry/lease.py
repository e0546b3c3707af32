"""The lease of the leading registry, as a record that is only ever replaced by a later one."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it is stored. No two that were ever stored have the same term and renewal."""

    holder: str
    """The process that leads; "" where it gave the lease up."""
    address: str
    """The `host:port` at which it serves."""
    term: int
    renewal: int
    """Grows with every replacement in a term."""
    ceiling: int
    """No epoch above it was assigned, and none will be under this record."""
    micros: int
    """How long the holder may lead after it requested this record, in microseconds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registry that leads, or wants to. `micros`: the length of its leases in microseconds."""

    name: str
    address: str
    micros: int


def acquired(last: Lease | None, candidate: Candidate, now: int, highest: int) -> Lease:
    """The first record of a new term, at `now` (microseconds since 1970).

    Its term is above every earlier term and every epoch that the record or the candidate (`highest`) knows of, also
    where a clock went back or the last record was lost.
    """
    before = max(last.term, last.ceiling) if last is not None else 0
    term = max(now, before + 1, highest + 1)
    return Lease(candidate.name, candidate.address, term, 1, term + candidate.micros, candidate.micros)


def renewed(last: Lease | None, held: Lease, now: int, highest: int) -> Lease:
    """The next record of the term of `held`. `last` is what is stored: None where it was lost, older where restored.

    The leader assigns epochs up to the ceiling, so the ceiling is one lease ahead of the time and of the
    highest epoch: the next term, which begins above it, is hardly ahead of the time.
    """
    known = [held] if last is None else [held, last]
    ceiling = max(*(one.ceiling for one in known), max(now, highest) + held.micros)
    return replace(held, renewal=1 + max(one.renewal for one in known), ceiling=ceiling)


def given_up(last: Lease, highest: int) -> Lease:
    """The record after which another registry may lead at once. Its ceiling is the highest epoch that was assigned."""
    return replace(last, holder="", address="", renewal=last.renewal + 1, ceiling=max(highest, last.term))
