"""The reaction store on Redis and Cassandra: hot targets, lists of the latest, an absent log, answers kept for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.adapters.redis import Redis, open_redis
from kit.engines import Log
from kit.errors import Overloaded, Unavailable
from kit.ids import new_id
from reaction_svc.adapters import cassandra_known
from reaction_svc.adapters.cassandra import CassandraReactionStore, Limits
from reaction_svc.adapters.cassandra_batch import BUCKETS
from reaction_svc.domain import Action, Op
from reaction_svc.heat import HeatRule
from reaction_svc.metrics import HOT_TARGETS
from tests.contract.cassandra_place import LIMITS, Place, fixture_keyspace, fixture_place
from tests.contract.reaction_store import Engine, facts_of, on, op
from tests.contract.storeload import counts_by_facts
from tests.engines import Engines
from tests.ownredis import wire_to

__all__ = ["fixture_keyspace", "fixture_place"]
RULE = HeatRule(rate=50, hot_after=2, cool_after=5)
KEY = ("default", "messages/1")


def hot_targets() -> float:
    return float(HOT_TARGETS._value.get())


async def buckets(store: CassandraReactionStore) -> dict[int, int]:
    """How many records each bucket of the target holds."""
    counted = [(bucket, len(await store._rows._rows("scan", *KEY, bucket))) for bucket in range(BUCKETS)]
    return {bucket: count for bucket, count in counted if count}


class TestMemory:
    """A target that more people react on than are kept in mind."""

    async def test_nobody_is_let_go_of_while_one_decides_about_them(
        self, place: Place, engines: Engines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cassandra_known, "_MAX_PEOPLE", 60)
        async with wire_to(engines.port("cassandra")) as wire:
            url = place.cassandra.replace(str(engines.port("cassandra")), str(wire.port))
            store = await place.store(Limits(**(vars(LIMITS) | {"ops_per_commit": 4})), cassandra=url)
            rng = random.Random(7)
            wire.delay = 0.01

            async def toggle(name: str) -> None:
                held: set[str] = set()
                for i in range(60):
                    user = f"{name}{rng.randrange(6)}"
                    held ^= {user}
                    new = op(user=f"{name}-{i}", target="messages/2", op_id=new_id())  # whom one has to read about
                    assert on(await store.apply([op(user=user, op_id=new_id()), new])) == [user in held, True]

            toggling = asyncio.gather(*map(toggle, "abcdefgh"))
            while not toggling.done():
                await store._keep_once()
            await toggling


class TestHotTargets:
    """A target with many changes a second."""

    @pytest.fixture(name="engine")
    async def fixture_engine(self, place: Place) -> Engine:
        return await place.engine(Limits(**(vars(LIMITS) | {"heat": RULE})))

    async def test_records_of_a_hot_target_go_to_buckets_and_back_and_are_exact_all_along(
        self, engine: Engine, place: Place
    ) -> None:
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        before = hot_targets()
        rng = random.Random(3)
        other = await place.store()

        async def tap(seconds: int, rate: int) -> None:
            for _ in range(seconds):
                ops = [op(rng.choice("👍❤😆"), user=f"u{rng.randrange(60)}", op_id=new_id()) for _ in range(rate)]
                await store.apply(ops)
                assert (await store.apply(ops[-3:])) == (await store.apply(ops[-3:]))
                engine.clock.advance(1)

        async def exact() -> None:
            counts = counts_by_facts(await facts_of(engine))
            assert (await store.tally("default", ["messages/1"]))[0].counts == counts
            holders = await store.reactors(*KEY, "", 0, 1_000)
            assert len(holders) == sum(counts.values())
            for user in ("u1", "u2", "u3"):
                (own,) = await other.own("default", user, ["messages/1"])
                assert set(own.emojis) == {each.emoji for each in holders if each.user == user}

        await tap(2, 40)
        assert hot_targets() == before
        assert set(await buckets(store)) == {0}
        await exact()
        await tap(4, 100)
        assert hot_targets() == before + 1
        assert len(await buckets(store)) > 5
        await exact()
        await tap(8, 5)
        assert hot_targets() == before
        await exact()
        spread = await buckets(store)
        await store.apply([op(user=f"new{i}") for i in range(40)])
        now = await buckets(store)
        assert {bucket for bucket in now if now[bucket] != spread.get(bucket)} == {0}
        await exact()

    async def test_another_process_knows_where_the_records_of_a_hot_target_are(
        self, engine: Engine, place: Place
    ) -> None:
        ops = [op(user=f"u{i % 80}", op_id=new_id()) for i in range(100)]
        for _ in range(5):
            await engine.store.apply([each._replace(op_id=new_id()) for each in ops])
            engine.clock.advance(1)
        counts = (await engine.store.tally("default", ["messages/1"]))[0].counts
        other = await place.store()
        mine = on(await engine.store.apply([op(user=f"u{i}", action=Action.ADD) for i in range(80)]))
        assert all(mine)
        assert on(await other.apply([op(user=f"u{i}") for i in range(80)])) == [False] * 80
        assert counts
        assert (await other.tally("default", ["messages/1"]))[0].counts == {}
        assert counts_by_facts(await facts_of(engine)) == {}

    async def test_a_target_that_is_quiet_all_at_once_is_no_longer_counted_as_hot(
        self, engine: Engine, place: Place
    ) -> None:
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        before = hot_targets()
        for _ in range(5):
            await store.apply([op(user=f"u{i}", op_id=new_id()) for i in range(100)])
            engine.clock.advance(1)
        assert hot_targets() == before + 1
        for _ in range(8):
            engine.clock.advance(1)
            store._known.cool()
        assert hot_targets() == before


class TestLists:
    """The latest who reacted, as Redis knows them."""

    async def test_pages_from_redis_are_those_from_cassandra(self, place: Place) -> None:
        engine = await place.engine()
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        rng = random.Random(5)
        for _ in range(6):
            await store.apply([op(rng.choice("👍👍❤"), user=f"u{rng.randrange(2_000)}") for _ in range(500)])
        for emoji in ("", "👍", "❤", "😆"):
            before, seen = 0, 0
            while True:
                page = await store.reactors(*KEY, emoji, before, 300)
                home, store._home = store._home, None  # as if Redis knew nothing
                assert list(page) == list(await store.reactors(*KEY, emoji, before, 300))
                store._home = home
                if not page:
                    break
                seen += len(page)
                before = page[-1].version
            counts = (await store.tally("default", ["messages/1"]))[0].counts
            assert seen == (counts.get(emoji, 0) if emoji else sum(counts.values()))

    async def test_only_the_latest_thousand_are_kept_and_the_first_page_needs_nobody_else(self, place: Place) -> None:
        engine = await place.engine()
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        for at in range(0, 1_500, 500):
            await store.apply([op(user=f"u{i}") for i in range(at, at + 500)])
        assert store._home is not None
        known = await store._hot.page(store._home.generation, KEY, "👍", 0, 2_000)
        assert known is not None
        ((_, floor, holders),) = known[1]
        assert len(holders) == 1_000
        assert floor == (await store.reactors(*KEY, "👍", 0, 1_001))[-1].version

        async def refuse(*_: Any) -> Any:
            raise AssertionError("the first page is in Redis")

        store._rows.scan = refuse  # type: ignore[method-assign,assignment]
        assert len(await store.reactors(*KEY, "👍", 0, 100)) == 100


async def test_redis_knows_on_what_a_person_holds_a_reaction(place: Place) -> None:
    engine = await place.engine()
    names = ["messages/1", "messages/2", "posts/7"]
    await engine.store.apply([op(target=name, user=user) for name in names for user in ("alice", "bob")])
    await engine.store.apply([op(target="messages/2"), op("❤", target="posts/7")])

    async def until(redis: Redis, key: str, held: set[bytes]) -> None:
        while await redis.client.execute_command("SMEMBERS", f"{redis.prefix}{key}") != held:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async with open_redis(place.redis) as redis:
        await until(redis, "user_reactions:{default/alice}:messages", {b"messages/1"})
        await until(redis, "user_reactions:{default/alice}:posts", {b"posts/7"})
        await until(redis, "user_reactions:{default/bob}:messages", {b"messages/1", b"messages/2"})


class Absent:
    """A log that can be away."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """Appends where it is there."""
        if self.is_away:
            raise Unavailable("the log is away")
        return await self._log.append(topic, key, payload, partition)


class TestLogAway:
    """Facts wait in the outbox."""

    async def test_outboxes_that_wait_for_each_other_again_and_again_say_at_once_what_is_on_the_log(
        self, place: Place
    ) -> None:
        log = Absent(place.log)
        place.log = log
        limits = Limits(**(vars(LIMITS) | {"lease_seconds": 600.0}))
        engine = await place.engine(limits)
        stores = [engine.store, await place.store(limits)]
        log.is_away = True
        for i in range(20):  # each change comes after one of the other writer
            await stores[i % 2].apply([op(op_id=f"o{i}")])
        for store in stores:
            assert isinstance(store, CassandraReactionStore)
            store._closing = True  # nothing is said in passing, once a second
        with capture_logs() as said:
            log.is_away = False
            await asyncio.wait_for(place.published(), 60)
        for store in stores:
            assert isinstance(store, CassandraReactionStore)
            store._closing = False
        assert not [line for line in said if line["event"] == "facts of another writer are late"]
        assert len({fact.version for fact in await facts_of(engine)}) == 20

    async def test_acks_go_on_while_the_log_is_away_and_its_facts_follow_in_order(self, place: Place) -> None:
        log = Absent(place.log)
        place.log = log
        # A few facts in memory: the others are read from the outbox again.
        engine = await place.engine(Limits(**(vars(LIMITS) | {"outbox_in_memory": 50})))
        log.is_away = True
        answers = [await engine.store.apply([op(user=f"u{(i + j) % 9}") for j in range(10)]) for i in range(20)]
        assert len(await engine.log.read("reactions", 0, 10)) == 0
        log.is_away = False
        facts = await facts_of(engine)
        assert [fact.version for fact in facts] == [each.version for some in answers for each in some]  # type: ignore[union-attr]

    async def test_too_many_facts_that_wait_refuse_changes_and_lose_nothing(self, place: Place) -> None:
        log = Absent(place.log)
        place.log = log
        engine = await place.engine(Limits(**(vars(LIMITS) | {"outbox_facts": 30})))
        log.is_away = True
        acked = 0

        async def fill() -> None:
            nonlocal acked
            for i in range(50):
                acked += len(await engine.store.apply([op(user=f"u{i}-{j}") for j in range(10)]))

        with pytest.raises(Overloaded):
            await fill()
        assert 30 <= acked < 100
        log.is_away = False
        assert len(await facts_of(engine)) == acked
        assert on(await engine.store.apply([op()])) == [True]


async def test_old_answers_go_by_themselves_but_never_that_of_the_last_change(place: Place) -> None:
    engine = await place.engine(Limits(**(vars(LIMITS) | {"op_seconds": 1.0})))
    first: Sequence[Op] = [op(op_id="on"), op(op_id="off"), op(op_id=new_id()), op("❤", op_id="add", action=Action.ADD)]
    await engine.store.apply(first)
    await engine.store.apply([op("😆", user="bob"), op("", user="bob", action=Action.CLEAR, op_id="clear")])
    store = await place.store()
    while await store._rows.answers(KEY, [("", "on")]):  # noqa: ASYNC110 - Cassandra's own clock
        await asyncio.sleep(0.05)
    kept = [first[2], first[3], op("", user="bob", action=Action.CLEAR, op_id="clear")]
    before = await store.tally("default", ["messages/1"])
    assert on(await store.apply(kept)) == [True, True, False]
    assert await store.tally("default", ["messages/1"]) == before
    assert on(await store.apply([first[0]])) == [False]  # forgotten, so it is another tap
