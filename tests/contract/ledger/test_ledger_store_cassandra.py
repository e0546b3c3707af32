"""The entries of a ledger in Cassandra."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA, CassandraLedger, open_cassandra_ledger
from kit.engine_url import CannotUse
from kit.errors import OutcomeUnknown, Unavailable
from kit.ids import new_id
from tests.contract.keyspaces import keyspace_with
from tests.contract.ledger.ledger_store import WatermarksContract, entry
from tests.engines import Engines
from tests.proxy import TcpProxy, tcp_proxy

SHARDS = 4


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file, each with a ledger of its own."""
    with keyspace_with(engines, SCHEMA) as url:
        yield url


async def append_until_refused(store: CassandraLedger) -> None:
    """Appends where the entry before is missing, again and again; raises Unavailable."""
    while True:
        with contextlib.suppress(OutcomeUnknown):
            await store.commit(1, entry(2))


@pytest.fixture(name="session")
async def fixture_session(keyspace: str) -> AsyncIterator[Cassandra]:
    async with open_cassandra(keyspace, timeout=10.0, check=[SCHEMA]) as session:
        yield session


@pytest.fixture(name="name")
def fixture_name() -> str:
    return new_id()


@pytest.fixture(name="store")
async def fixture_store(session: Cassandra, name: str) -> CassandraLedger:
    return await open_cassandra_ledger(session, name, SHARDS)


class TestCassandraLedger(WatermarksContract):
    """On Cassandra."""

    @pytest.fixture(name="store")
    async def fixture_store(self, session: Cassandra, name: str) -> CassandraLedger:
        return await open_cassandra_ledger(session, name, SHARDS)

    @pytest.fixture(name="other")
    async def fixture_other(self, keyspace: str, name: str, store: CassandraLedger) -> AsyncIterator[CassandraLedger]:
        async with open_cassandra(keyspace, timeout=10.0, check=[SCHEMA]) as session:
            yield await open_cassandra_ledger(session, name, SHARDS)


class TestOpening:
    """Which ledgers are not opened."""

    async def test_another_number_of_shards_is_refused_in_one_line(
        self, session: Cassandra, store: CassandraLedger, name: str
    ) -> None:
        with pytest.raises(CannotUse, match=f"was made with {SHARDS} shards, it cannot be opened with 8"):
            await open_cassandra_ledger(session, name, 8)

    async def test_processes_that_create_a_ledger_at_the_same_time_create_one(
        self, session: Cassandra, name: str
    ) -> None:
        opened = await asyncio.gather(*(open_cassandra_ledger(session, name, SHARDS) for _ in range(5)))
        assert len({ledger.incarnation for ledger in opened}) == 1

    async def test_ledgers_of_other_names_are_other_ledgers(self, session: Cassandra, store: CassandraLedger) -> None:
        another = await open_cassandra_ledger(session, new_id(), 2)
        assert await store.commit(0, entry(1))
        assert another.incarnation != store.incarnation
        assert await another.tail(0, confirm=True) == 0


class TestUnknown:
    """Appends whose answer is lost."""

    @pytest.fixture(name="proxy")
    async def fixture_proxy(self, engines: Engines) -> AsyncIterator[TcpProxy]:
        async with tcp_proxy(engines.port("cassandra")) as proxy:
            yield proxy

    @pytest.fixture(name="far")
    async def fixture_far(
        self, keyspace: str, engines: Engines, proxy: TcpProxy, name: str
    ) -> AsyncIterator[CassandraLedger]:
        """The same ledger as `store`, through the proxy."""
        url = keyspace.replace(f":{engines.port('cassandra')}/", f":{proxy.port}/")
        async with open_cassandra(url, timeout=1.0) as session:
            yield await open_cassandra_ledger(session, name, SHARDS)

    async def test_an_append_whose_connection_breaks_is_unknown_and_is_identified_by_its_id(
        self, store: CassandraLedger, far: CassandraLedger, proxy: TcpProxy
    ) -> None:
        assert await far.commit(0, entry(1))
        proxy.cut_after_request = True
        with pytest.raises(OutcomeUnknown):
            await far.commit(0, entry(2, "lost"))
        # The serial read settles it: the position is taken, or free for another.
        landed = list((await store.read(0, 1, 10)).entries)
        assert landed in ([entry(2, "lost")], [])
        assert await store.commit(0, entry(2, "next")) is not bool(landed)

    async def test_an_append_without_an_answer_is_unknown_and_was_sent_once(
        self, store: CassandraLedger, far: CassandraLedger, proxy: TcpProxy
    ) -> None:
        assert await far.commit(0, entry(1))
        proxy.answers.clear()
        with pytest.raises(OutcomeUnknown):
            await far.commit(0, entry(2, "lost"))
        page = await store.read(0, 0, 10)
        assert (list(page.entries), page.tail) == ([entry(1), entry(2, "lost")], 2)

    async def test_a_call_that_does_not_reach_the_server_changes_nothing(
        self, store: CassandraLedger, far: CassandraLedger, proxy: TcpProxy
    ) -> None:
        proxy.answers.clear()
        with pytest.raises(OutcomeUnknown):
            await far.commit(0, entry(1, "first"))
        with pytest.raises(Unavailable):
            await append_until_refused(far)
        assert await store.tail(1, confirm=True) == 0
