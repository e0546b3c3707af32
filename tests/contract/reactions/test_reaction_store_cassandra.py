"""The store of reactions on Cassandra, Redis and Kafka, and what it does where one of them is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from kit.adapters.cassandra.engine import open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA as LEDGER_SCHEMA
from kit.adapters.cassandra.ledger import open_cassandra_ledger
from kit.adapters.redis.engine import open_redis
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.clock import ManualClock
from kit.errors import OutcomeUnknown, Problem
from kit.ids import new_id
from kit.ledger.entry import parse_name
from kit.ledger.event_log import ShardedEventLog
from kit.tasks import background
from reaction_svc.adapters.cassandra_queries import open_cassandra_queries
from reaction_svc.adapters.cassandra_tables import SCHEMA, open_cassandra_tables
from reaction_svc.adapters.redis_latest import RedisLatest
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.model.model import ModelLimits
from tests.contract.keyspaces import execute, keyspace_with
from tests.contract.reactions.reaction_engine import LEDGER, Store, opened_store
from tests.contract.reactions.reaction_erasure import ErasureContract
from tests.contract.reactions.reaction_store import MOST, Engine, ReactionStoreContract, facts_of, on, op
from tests.contract.reactions.storeload import counts_by_facts
from tests.engines import Engines
from tests.proxy import tcp_proxy

_LEDGERS = count(1)


class Node:
    """Engines with a ledger of its own in them; stores are opened on it until the test ends, as in processes apart."""

    def __init__(self, redis: str, keyspace: str, folder: Path, leaving: AsyncExitStack) -> None:
        self.redis = redis
        self.clock = ManualClock()
        self._keyspace = keyspace
        self._folder = folder
        self._leaving = leaving
        self._name = f"{LEDGER}-{next(_LEDGERS)}"
        self._stores: list[Store] = []

    async def engine(self, *, cassandra: str = "", timeout: float = 10.0) -> Engine:
        """Another store; `cassandra`: by another way."""
        enter = self._leaving.enter_async_context
        log = await enter(open_sqlite_log(self._folder / "log.db"))
        session = await enter(open_cassandra(cassandra or self._keyspace, timeout=timeout))
        latest = RedisLatest(await enter(open_redis(self.redis)), 60.0, above=0)
        await enter(background(latest.run()))
        ledger = await open_cassandra_ledger(session, self._name, 1)
        tables = await open_cassandra_tables(session, 3_600.0)
        queries = await open_cassandra_queries(session, tables, latest)
        feed = ShardedEventLog(log, LEDGER, ledger.incarnation)
        rules = ModelLimits(max_emoji=MOST, op_seconds=3_600.0)
        store = await enter(
            opened_store(
                ledger, tables, queries, self.clock, event_log=feed, rules=rules, on_commit=latest.record_entry
            )
        )

        async def published() -> None:
            tail, position = await ledger.tail(0, confirm=True), 0
            async with asyncio.timeout(20):
                while True:
                    records = await log.read(LEDGER, position, 100_000)
                    if tail in {name.position for record in records if (name := parse_name(record.key))}:
                        return
                    # After what was read: a record that came since then ends the wait at once.
                    position = records[-1].position if records else position
                    await log.wait(LEDGER, position)

        return Engine(store, log, self.clock, published, repeats=True)


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file, one after the other: to make tables costs seconds, to empty them less."""
    with keyspace_with(engines, LEDGER_SCHEMA, SCHEMA) as url:
        yield url


@pytest.fixture(name="node")
async def fixture_node(engines: Engines, keyspace: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with AsyncExitStack() as leaving:
        yield Node(engines.redis(), keyspace, tmp_path, leaving)
    await execute(keyspace, "TRUNCATE reaction_record", "TRUNCATE reaction_answer")


class TestCassandraReactionStore(ErasureContract, ReactionStoreContract):
    """On Cassandra and Redis."""

    @pytest.fixture(name="engine")
    async def fixture_engine(self, node: Node) -> Engine:
        return await node.engine()

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, node: Node) -> Store:
        return (await node.engine()).store

    async def test_the_next_process_returns_the_stored_answers(self, engine: Engine, node: Node) -> None:
        ops = [op(op_id="a"), op("❤", op_id="b"), op("❤", op_id="01900000-0000-7000-8000-000000000001")]
        first = await engine.store.apply(ops[:2])
        later = await node.engine()
        assert await later.store.apply(ops[:2]) == first
        assert on(await later.store.apply([op()])) == [False]

    async def test_with_an_emptied_redis_no_change_is_refused_and_lists_are_read_from_the_tables(
        self, engine: Engine, node: Node
    ) -> None:
        await engine.store.apply([op(user=f"u{i}") for i in range(5)])
        async with open_redis(node.redis) as redis:
            await redis.client.execute_command("FLUSHALL")
        assert on(await engine.store.apply([op(user="u9")])) == [True]
        everyone = await engine.store.reactors("default", "messages/1", "", 0, 10)
        assert [reactor.user for reactor in everyone] == ["u9", "u4", "u3", "u2", "u1", "u0"]

    async def test_two_writers_of_the_same_targets_both_make_progress(self, engine: Engine, other: Store) -> None:
        done: dict[str, int] = {"a": 0, "b": 0}

        async def repeat(store: Store, name: str) -> None:
            while min(done.values()) < 30:
                await store.apply([op(user=f"{name}{done[name]}")])
                done[name] += 1

        async with asyncio.timeout(60):
            await asyncio.gather(repeat(engine.store, "a"), repeat(other, "b"))
        (tally,) = await engine.store.tally("default", ["messages/1"])
        assert dict(tally.counts) == {"👍": sum(done.values())} == counts_by_facts(await facts_of(engine))


async def test_a_write_without_an_answer_of_cassandra_is_unknown_and_a_retry_gets_the_answer(
    engines: Engines, node: Node, keyspace: str
) -> None:
    near = await node.engine()
    await near.store.apply([op("❤", user="first")])
    async with tcp_proxy(engines.port("cassandra")) as proxy:
        url = keyspace.replace(f":{engines.port('cassandra')}/", f":{proxy.port}/")
        far = await node.engine(cassandra=url, timeout=0.5)
        await far.store.apply([op(user="second")])
        lost = op(op_id=new_id())  # surely new, so that nothing has to be read first
        proxy.answers.clear()
        asked = asyncio.create_task(far.store.apply([lost]))
        landed = asyncio.create_task(_commit_current(near))
        await landed
        proxy.answers.set()
        with suppress(OutcomeUnknown):
            await asked
        answers = await _until_answered(far.store, lost)
        assert answers == await near.store.apply([lost]) == await far.store.apply([lost])
    (tally,) = await near.store.tally("default", ["messages/1"])
    assert dict(tally.counts) == counts_by_facts(await facts_of(near)) == {"❤": 1, "👍": 2}


async def _commit_current(engine: Engine) -> None:
    """Waits until the operation is there. What this store appends has that of the other read and written."""
    async with asyncio.timeout(20):
        while (await engine.store.tally("default", ["messages/1"]))[0].counts.get("👍") != 2:
            await engine.store.apply([op("😮", user="ticker"), op("😮", user="ticker")])


async def _until_answered(store: Store, retried: Op) -> list[Outcome | Refusal]:
    async with asyncio.timeout(30):
        while True:
            with suppress(Problem):
                return await store.apply([retried])
            await asyncio.sleep(0)
