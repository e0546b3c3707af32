"""Registries and one lease whose store is late, loses answers and does things afterwards: never two lead at a time."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from kit.clock import SystemClock
from kit.errors import OutcomeUnknown, Unavailable
from kit.tasks import background
from session_registry.domain import Term
from session_registry.election import LeaseLeadership
from session_registry.lease import Lease

LEASE = 0.15
SECONDS = 2.5


class UnreliableStore:
    """One record, reached by a bad network; see `ports.LeaseStore`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.record: Lease | None = None
        self.past: list[tuple[float, Lease]] = []
        self.next_mishap = 0.0
        self.loses = seed % 2 == 0
        """Whether the record is lost and restored, else the nodes of the store disagree about the time."""

    def store(self, last: Lease | None, new: Lease) -> bool:
        """The atomic step."""
        if not same(self.record, last):
            return False
        self.record = new
        self.past.append((time.monotonic(), new))
        return True

    async def read(self, *, decided: bool = False) -> tuple[Lease | None, int]:
        """Late, or not at all."""
        await self.travel()
        found = self.record
        await self.travel()
        if self.random.random() < 0.05:
            raise Unavailable("nobody answers")
        skew = 0 if self.loses else self.random.randrange(-3_000_000, 3_000_000)
        return found, int(time.time() * 1_000_000) + skew

    async def replace(self, last: Lease | None, new: Lease) -> bool:
        """Late, not at all, without an answer, or long after its caller has given up."""
        await self.travel()
        fate = self.random.random()
        if fate < 0.05:
            raise Unavailable("it was not sent")
        if fate < 0.15:
            later = self.random.choice((0.0, 0.3, 1.5)) * LEASE
            asyncio.get_running_loop().call_later(later, self.store, last, new)
            await self.travel()
            raise OutcomeUnknown("no answer")
        done = self.store(last, new)
        await self.travel()
        if fate < 0.25:
            raise OutcomeUnknown("the answer is lost")
        return done

    async def travel(self) -> None:
        """Some calls take half a lease."""
        await asyncio.sleep(LEASE * self.random.choice((0.0, 0.01, 0.01, 0.02, 0.05, 0.5)))

    def fail(self) -> None:
        """What an operator does to it, now and then: all is gone, or is what it was long ago.

        A lease that was given up is not restored: a registry that reads it may lead at once.
        """
        now = time.monotonic()
        if self.loses and now >= self.next_mishap:
            self.next_mishap = now + 4 * LEASE
            self.record = self.random.choice(
                [None, *(record for moment, record in self.past if record.holder and moment < now - 4 * LEASE)]
            )


def same(one: Lease | None, other: Lease | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.term, one.renewal) == (other.term, other.renewal)


class UnconditionalStore(UnreliableStore):
    """Replaces whatever is there."""

    def store(self, last: Lease | None, new: Lease) -> bool:
        self.record = new
        return True


class AlwaysSucceeding(UnreliableStore):
    """Says that it was done also where it was not."""

    async def replace(self, last: Lease | None, new: Lease) -> bool:
        await super().replace(last, new)
        return True


class RacingClock(SystemClock):
    """Three seconds in one: a lease of another is over too soon."""

    def monotonic(self) -> float:
        return super().monotonic() * 3


class ElectionRun:
    """Three registries, and everything that must never be."""

    def __init__(self, store: UnreliableStore, clocks: tuple[SystemClock, ...]) -> None:
        self.store = store
        self.wrong: list[str] = []
        self.terms: list[int] = []
        self.epoch = 0
        self._clocks = clocks
        self._registries: dict[int, LeaseLeadership] = {}
        self._highest: dict[int, int] = {}

    @asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        """A term begins."""
        if term.number <= max([self.epoch, *self.terms]):
            self.wrong.append("a term is not above all before")
        self.terms.append(term.number)
        yield

    async def restart(self, i: int, clock: SystemClock) -> None:
        """Runs one registry and restarts it now and then; a new process knows no epoch of the one before."""
        for generation in itertools.count():
            registry = LeaseLeadership(
                self.store, clock, name=f"r{i}-{generation}", address=lambda: f"r{i}:1", seconds=LEASE
            )
            self._registries[i], self._highest[i] = registry, 0
            async with background(registry.campaign(self.lead, lambda: self._highest[i])):
                await asyncio.sleep(LEASE * self.store.random.uniform(2, 10))

    def assign_epoch(self) -> None:
        """The one that leads gives an epoch."""
        leading = [(i, registry) for i, registry in self._registries.items() if registry.leads()]
        if len(leading) > 1:
            self.wrong.append("two lead")
        for i, registry in leading:
            epoch = max(self.epoch + 1, registry.micros())
            if epoch <= registry.ceiling():
                self.epoch = self._highest[i] = epoch

    async def run(self) -> ElectionRun:
        """Some time of it."""
        async with AsyncExitStack() as stack:
            for i, clock in enumerate(self._clocks):
                await stack.enter_async_context(background(self.restart(i, clock)))
            ends = time.monotonic() + SECONDS
            while time.monotonic() < ends:
                self.assign_epoch()
                self.store.fail()
                await asyncio.sleep(0.001)
        return self


async def election_runs(store: type[UnreliableStore], *clocks: SystemClock, count: int = 12) -> list[ElectionRun]:
    """Several side by side, each with a seed of its own."""
    chosen = clocks or (SystemClock(), SystemClock(), SystemClock())
    return await asyncio.gather(*(ElectionRun(store(seed), chosen).run() for seed in range(count)))


async def test_never_two_lead_and_every_term_is_above_earlier_ones_despite_failures_of_the_store() -> None:
    done = await election_runs(UnreliableStore)
    assert [run.wrong for run in done] == [[] for _ in done]
    assert sum(len(run.terms) for run in done) >= len(done), "there was always somebody in the end"
    assert all(run.epoch for run in done)


@pytest.mark.parametrize("store", [UnconditionalStore, AlwaysSucceeding])
async def test_a_store_that_breaks_its_promise_is_detected(store: type[UnreliableStore]) -> None:
    assert any(run.wrong for run in await election_runs(store))


async def test_a_clock_that_runs_too_fast_is_detected() -> None:
    assert any(run.wrong for run in await election_runs(UnreliableStore, SystemClock(), RacingClock(), SystemClock()))
