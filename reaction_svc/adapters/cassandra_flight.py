"""Batches on their way, those who wait for their answers, and what the store takes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reaction_svc.adapters.cassandra_batch import Batch
from reaction_svc.adapters.cassandra_recovery import Home
from reaction_svc.adapters.cassandra_rows import Key
from reaction_svc.adapters.cassandra_step import Decided
from reaction_svc.adapters.waiting import Asked
from reaction_svc.heat import HeatRule

_FEW_OPS, _FEW_FLIGHTS = 32, 2
_GATHER_SECONDS, _JUST_NOW_SECONDS = 0.004, 0.0007
# The part of the time a batch has, after which none is sent behind it.
_PATIENCE = 0.25


@dataclass(frozen=True)
class Limits:
    """What the store takes on, and how long it waits."""

    # Distinct emoji of one target.
    max_emoji: int = 20
    # Operations of one batch; a larger one of a call is not divided. Operations that may wait; more are refused.
    ops_per_commit: int = 1_024
    ops_waiting: int = 32_768
    # How long operation ids are known at least, and how long Redis keeps what is not used, seconds.
    op_seconds: float = 86_400.0
    retention_seconds: float = 90 * 86_400.0
    # The longest a batch may take from Redis to its ack, and the longest anything of it may still be under way.
    write_seconds: float = 2.0
    grace_seconds: float = 4.5
    # After so long without a sign of life, others take over what a process has left undone.
    lease_seconds: float = 5.0
    # Batches that are being written at a time; times one is decided again where others keep being first.
    in_flight: int = 8
    rounds: int = 20
    # Facts not yet on the log: kept in memory, and at all.
    outbox_in_memory: int = 200_000
    outbox_facts: int = 2_000_000
    heat: HeatRule = field(default_factory=HeatRule)


@dataclass(eq=False)
class Flight:
    """A batch that Redis has taken, or may have taken, on its way into Cassandra."""

    home: Home
    attempt: int
    batch: Batch
    blob: bytes
    group: Sequence[Asked]
    decided: Decided
    until: float
    durable: asyncio.Future[bool]
    done: asyncio.Future[bool]


class Flights:
    """The batches on their way, in order."""

    def __init__(self) -> None:
        self._flights: dict[Flight, None] = {}
        self._ended_at = 0.0
        self.landed = asyncio.Event()
        """None is on its way."""
        self.landed.set()

    @property
    def last(self) -> Flight | None:
        """The one behind all others."""
        return next(reversed(self._flights), None)

    @property
    def changes(self) -> Mapping[Key, set[str]]:
        """The targets and people they change."""
        found: dict[Key, set[str]] = {}
        for flight in self._flights:
            for entry in flight.batch.entries:
                found.setdefault((entry.tenant, entry.target), set()).update(fact[0] for fact in entry.facts)
        return found

    def begin(self, flight: Flight) -> None:
        """One is on its way."""
        self._flights[flight] = None
        self.landed.clear()

    def end(self, flight: Flight) -> None:
        """It is where it was to go, or nobody can tell."""
        del self._flights[flight]
        if not self._flights:
            self.landed.set()
            self._ended_at = asyncio.get_running_loop().time()

    async def gather(self, ops: int) -> None:
        """Has few operations wait for others while batches are under way: each costs the same, whatever it carries."""
        if ops >= _FEW_OPS:
            return
        if len(self._flights) >= _FEW_FLIGHTS:
            await asyncio.wait([next(iter(self._flights)).done])
        elif self._flights or asyncio.get_running_loop().time() - self._ended_at < _JUST_NOW_SECONDS:
            await asyncio.sleep(_GATHER_SECONDS)

    async def keep_up(self, seconds: float) -> None:
        """Sends nothing more after a batch that is slow: what waits in Cassandra's queue runs out of time together.

        `seconds`: what a batch has.
        """
        while self._flights:
            oldest = next(iter(self._flights))
            late = time.monotonic() - (oldest.until - seconds * (1 - _PATIENCE))
            if late < 0:
                return
            await asyncio.wait([oldest.done])


def new_flight(
    home: Home, batch: Batch, blob: bytes, group: Sequence[Asked], decided: Decided, seconds: float
) -> Flight:
    """A batch about to be offered to Redis, which has so many seconds from now."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + seconds
    return Flight(home, home.attempt, batch, blob, group, decided, until, loop.create_future(), loop.create_future())
