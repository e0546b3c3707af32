"""The promises of `session_registry.ports.Leadership`, of a registry alone and of several with one lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import pytest

from kit.clock import SystemClock
from kit.errors import OutcomeUnknown
from session_registry.election import LeaseLeadership
from session_registry.lease import Lease
from session_registry.ports import Leadership, LeaseStore
from tests.clocks import PausedClock
from tests.contract.registry.candidates import FastClock, campaigning, until
from tests.proxy import TcpProxy, tcp_proxy


class LeadershipContract:
    @asynccontextmanager
    async def opened(self, request: Any) -> AsyncIterator[Leadership]:
        """A single registry."""
        raise NotImplementedError
        yield

    async def test_a_single_registry_leads(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request) as leadership, campaigning(leadership) as one:
            await until(lambda: one.leading)
            assert leadership.leads()
            assert one.terms[0] <= one.give_epoch() <= leadership.ceiling()

    async def test_epochs_follow_the_clock(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request) as leadership, campaigning(leadership) as one:
            await until(lambda: one.leading)
            assert abs(leadership.micros() / 1e6 - time.time()) < 1.0

    async def test_a_registry_that_resigns_leads_no_longer(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request) as leadership, campaigning(leadership) as one:
            await until(lambda: one.leading)
            leadership.resign()
            assert not leadership.leads()


class LeaseContract(LeadershipContract):
    """Several registries and one lease."""

    lease: ClassVar[float]

    def port(self, request: Any) -> int:
        """Where the server of the lease listens."""
        raise NotImplementedError

    @asynccontextmanager
    async def store(self, request: Any, port: int) -> AsyncIterator[LeaseStore]:
        """The lease, by a connection of its own to a port that leads to the server."""
        raise NotImplementedError
        yield

    async def lose(self, request: Any) -> None:
        """The server loses the lease."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(
        self, request: Any, name: str = "one", clock: SystemClock | None = None, proxy: TcpProxy | None = None
    ) -> AsyncIterator[LeaseLeadership]:
        if name == "one":
            await self.lose(request)
        async with self.store(request, self.port(request) if proxy is None else proxy.port) as store:
            yield self.candidate(store, name, clock)

    def candidate(self, store: LeaseStore, name: str, clock: SystemClock | None = None) -> LeaseLeadership:
        return LeaseLeadership(
            store, clock or SystemClock(), name=name, address=lambda: f"{name}:1", seconds=self.lease
        )

    async def test_one_of_two_registries_leads_and_both_know_which(self, request: pytest.FixtureRequest) -> None:
        async with (
            self.opened(request) as first,
            self.opened(request, "two") as second,
            campaigning(first) as one,
            campaigning(second) as two,
        ):
            await until(lambda: one.leading or two.leading)
            await until(lambda: first.leader() == second.leader() != "")
            assert one.leading != two.leading
            assert first.leader() == ("one:1" if one.leading else "two:1")

    async def test_a_lease_is_renewed_while_its_holder_leads(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request) as first, self.opened(request, "two") as second, campaigning(first) as one:
            await until(lambda: one.leading)
            async with campaigning(second) as two, self.store(request, self.port(request)) as store:
                first_record, _ = await store.read()
                assert first_record is not None

                async def three_leases_are_over() -> bool:
                    one.give_epoch()
                    record, _ = await store.read()
                    # A leader renews its lease three times in the time of one.
                    return record is not None and record.renewal >= first_record.renewal + 9

                await until(three_leases_are_over)
                assert (len(one.terms), two.terms) == (1, [])

    async def test_after_a_resignation_the_next_term_begins_immediately(self, request: pytest.FixtureRequest) -> None:
        async with (
            self.opened(request) as first,
            self.opened(request, "two", FastClock()) as second,
            campaigning(first) as one,
        ):
            await until(lambda: one.leading)
            async with campaigning(second) as two:
                await until(lambda: second.leader() == "one:1")
                given = [one.give_epoch() for _ in range(1_000)]
                began = time.monotonic()
                first.resign()
                await until(lambda: two.leading)
                assert time.monotonic() - began < self.lease / 2, "nobody waited for the lease to end"
                assert two.terms[0] > max(given)
                assert two.give_epoch() > two.terms[0]

    async def test_a_leader_that_was_paused_for_its_lease_does_not_lead(self, request: pytest.FixtureRequest) -> None:
        clock = PausedClock()
        async with (
            self.opened(request, clock=clock) as first,
            self.opened(request, "two") as second,
            campaigning(first) as one,
        ):
            await until(lambda: one.leading)
            clock.pause(self.lease)
            assert not first.leads(), "seen before anything else runs"
            async with campaigning(second):
                await until(lambda: not one.leading or first.leads())

    async def test_a_lease_that_was_lost_continues_in_the_same_term(self, request: pytest.FixtureRequest) -> None:
        async with (
            self.opened(request) as first,
            self.opened(request, "two") as second,
            campaigning(first) as one,
            self.store(request, self.port(request)) as store,
        ):
            await until(lambda: one.leading)
            async with campaigning(second) as two:
                await self.lose(request)

                async def is_stored_again() -> bool:
                    return (await store.read())[0] is not None

                await until(is_stored_again)
                assert (one.leading, len(one.terms), two.terms) == (True, 1, [])

    async def test_a_lease_that_was_replaced_by_an_older_one_continues_in_the_same_term(
        self, request: pytest.FixtureRequest
    ) -> None:
        async with (
            self.opened(request) as first,
            self.opened(request, "two") as second,
            campaigning(first) as one,
            self.store(request, self.port(request)) as store,
        ):
            await until(lambda: one.leading)
            before, _ = await store.read()
            assert before is not None
            past = Lease("zero", "zero:1", before.term - 9_000_000, 7, before.term - 5_000_000, before.micros)
            async with campaigning(second) as two:

                async def is_restored() -> bool:
                    return await store.replace((await store.read())[0], past)

                async def is_replaced() -> bool:
                    return (await store.read())[0] != past

                await until(is_restored)
                await until(is_replaced)
                assert (one.leading, len(one.terms), two.terms) == (True, 1, [])
                now, _ = await store.read()
                assert now is not None
                assert (now.holder, now.term) == ("one", one.terms[0])
                assert now.ceiling >= before.ceiling

    async def test_terms_grow_also_after_the_last_one_was_lost(self, request: pytest.FixtureRequest) -> None:
        terms: list[int] = []
        for _ in range(3):
            async with AsyncExitStack() as stack:
                leadership = await stack.enter_async_context(self.opened(request, "again"))
                one = await stack.enter_async_context(campaigning(leadership))
                await until(lambda one=one: one.leading)  # type: ignore[misc]
                terms += one.terms
            await self.lose(request)
        assert terms == sorted(set(terms))

    async def test_epochs_of_a_fast_clock_are_below_the_next_term(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request) as first, campaigning(first) as one:
            await until(lambda: one.leading)
            one.highest += 3_600_000_000
            ahead = one.highest
            await until(lambda: first.ceiling() > ahead)
        async with self.opened(request, "two") as second, campaigning(second) as two:
            await until(lambda: two.leading)
            assert two.terms[0] > ahead

    async def test_a_registry_that_does_not_serve_yet_is_no_candidate(self, request: pytest.FixtureRequest) -> None:
        await self.lose(request)
        address, looked_up = "", 0

        def own_address() -> str:
            nonlocal looked_up
            looked_up += 1
            return address

        async with self.store(request, self.port(request)) as store:
            leadership = LeaseLeadership(store, SystemClock(), name="one", address=own_address, seconds=self.lease)
            async with campaigning(leadership) as one:
                await until(lambda: looked_up > 3)
                assert one.terms == []
                address = "one:1"
                await until(lambda: one.leading)

    async def test_one_of_several_replacements_of_a_lease_succeeds(self, request: pytest.FixtureRequest) -> None:
        await self.lose(request)
        async with AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(self.store(request, self.port(request))) for _ in range(2)]
            last: Lease | None = None
            for renewal in range(1, 20):
                wanted = [Lease(f"r{i}", "", 5, renewal, 1 << 53, 1) for i in range(len(stores))]
                done = await asyncio.gather(
                    *(self.settled(store, last, new) for store, new in zip(stores, wanted, strict=True))
                )
                assert sorted(done) == [False, True]
                last, _ = await stores[0].read(decided=True)
                assert last == wanted[done.index(True)], "all of it, and as it was written"
            assert not await self.settled(stores[0], None, wanted[0])

    async def settled(self, store: LeaseStore, last: Lease | None, new: Lease) -> bool:
        """Whether the replacement was done, also where the answer says nothing."""
        try:
            return await store.replace(last, new)
        except OutcomeUnknown:
            return (await store.read(decided=True))[0] == new


class OneServerContract(LeaseContract):
    """The lease is on one server, behind a proxy."""

    async def test_a_leader_cut_off_steps_down_before_another_begins(self, request: pytest.FixtureRequest) -> None:
        async with (
            tcp_proxy(self.port(request)) as proxy,
            self.opened(request, proxy=proxy) as first,
            self.opened(request, "two") as second,
            campaigning(first) as one,
        ):
            await until(lambda: one.leading)
            async with campaigning(second) as two:
                proxy.answers.clear()
                given = 0
                while not second.leads():
                    given = one.give_epoch_if_leading() or given
                    await asyncio.sleep(0)
                assert not first.leads(), "never two"
                await until(lambda: two.leading)
                assert two.terms[0] > given
                await until(lambda: not one.leading)
                proxy.answers.set()
                await until(lambda: first.leader() == "two:1")
                assert len(one.terms) == 1
