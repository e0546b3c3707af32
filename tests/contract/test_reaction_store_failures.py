"""The reaction store on Redis and Cassandra while they, or its own processes, fail."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kit.clock import ManualClock
from kit.errors import OutcomeUnknown, Unavailable
from kit.ids import new_id
from reaction_svc.adapters.cassandra import CassandraReactionStore, Limits
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.ports import ReactionStore
from tests.contract.cassandra_place import Place, fixture_keyspace, fixture_place
from tests.contract.reaction_store import MOST, Engine, check_acked, facts_of, on, op
from tests.contract.storeload import ROOT, counts_by_facts, environment
from tests.engines import Engines
from tests.ownredis import own_redis, wire_to

__all__ = ["fixture_keyspace", "fixture_place"]
QUICK = Limits(max_emoji=MOST, grace_seconds=0.3, write_seconds=1.0, lease_seconds=1.0, rounds=200)


async def apply(store: ReactionStore, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
    """Asks until there is an answer, as a client does."""
    while True:
        try:
            return await store.apply(ops)
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(0.02)


async def tapping(store: ReactionStore, name: str, rounds: int) -> list[tuple[Op, Outcome]]:
    """Toggles 5 people's reactions, three at a time, each until it is acked."""
    acked: list[tuple[Op, Outcome]] = []
    for i in range(rounds):
        ops = [op(user=f"u{(i + j) % 5}", op_id=new_id() if j else f"{name}-{i}") for j in range(3)]
        for each, answer in zip(ops, await apply(store, ops), strict=True):
            assert isinstance(answer, Outcome)
            acked.append((each, answer))
    return acked


async def changing(store: ReactionStore, user: str) -> None:
    """Toggles one person's reactions on four targets again and again; never returns."""
    while True:
        await store.apply([op(user=user, target=f"messages/{i}", op_id=new_id()) for i in range(4)])


async def check(engine: Engine, acked: list[tuple[Op, Outcome]]) -> None:
    lines = [[each.target, each.user, each.op_id, str(answer.on), str(answer.version)] for each, answer in acked]
    await check_acked(engine, lines)
    facts = await facts_of(engine)
    assert [fact.version for fact in facts] == sorted(fact.version for fact in facts)
    assert len(facts) == len(acked)


class TestRedis:
    """Redis fails."""

    async def test_an_empty_redis_is_a_new_generation_and_nothing_acked_is_lost(self, place: Place) -> None:
        with own_redis() as server:
            engine = await place.engine(QUICK, redis=server.url)
            other = await place.store(QUICK, redis=server.url)
            ops = [op(op_id=new_id()), op("❤", user="bob", op_id="b")]
            first = await engine.store.apply(ops)
            server.restart()
            assert await apply(other, ops) == first
            assert on(await apply(other, [op(op_id="c")])) == [False]
            assert on(await apply(engine.store, [op(op_id="d")])) == [True]
            assert await apply(engine.store, ops) == first
            assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "❤": 1}
            assert counts_by_facts(await facts_of(engine)) == {"👍": 1, "❤": 1}

    async def test_redis_emptied_again_and_again_under_two_writers_stays_exact(self, place: Place) -> None:
        with own_redis() as server:
            engine = await place.engine(QUICK, redis=server.url)
            other = await place.store(QUICK, redis=server.url)
            loads = [asyncio.create_task(tapping(each, name, 40)) for each, name in ((engine.store, "a"), (other, "b"))]
            for fault in range(4):
                await asyncio.sleep(0.3)  # load between faults
                if fault % 2:
                    server.tell("FLUSHALL")
                else:
                    await asyncio.to_thread(server.restart)
            acked = [pair for load in loads for pair in await load]
            await check(engine, acked)

    async def test_a_change_whose_reply_is_lost_is_made_once(self, place: Place, engines: Engines) -> None:
        with own_redis() as server:
            async with wire_to(server.port) as wire:
                engine = await place.engine(QUICK, redis=f"redis://127.0.0.1:{wire.port}/0?prefix=t:")
                await engine.store.apply([op("❤")])
                for i in range(5):
                    wire.cut_after_request = True
                    asked = asyncio.create_task(apply(engine.store, [op(op_id="once")]))
                    await asyncio.sleep(0.05 * i)
                    wire.cut_after_request = False
                    assert on(await asked) == [True]
                assert len(await facts_of(engine)) == 2
                assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "❤": 1}

    async def test_a_redis_that_stands_still_refuses_quickly_and_goes_on_by_itself(self, place: Place) -> None:
        with own_redis() as server:
            engine = await place.engine(QUICK, redis=server.url)
            await engine.store.apply([op(op_id="a")])
            server.pause()
            with pytest.raises((Unavailable, OutcomeUnknown)):
                await asyncio.wait_for(engine.store.apply([op("❤", op_id="b")]), 3)
            server.resume()
            assert on(await apply(engine.store, [op("❤", op_id="b")])) == [True]
            assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "❤": 1}


class TestCassandra:
    """Cassandra fails."""

    async def test_what_cassandra_did_not_confirm_is_unknown_and_found_out_later(
        self, place: Place, engines: Engines
    ) -> None:
        async with wire_to(engines.port("cassandra")) as wire:
            url = place.cassandra.replace(str(engines.port("cassandra")), str(wire.port))
            engine = await place.engine(QUICK, cassandra=url)
            await engine.store.apply([op(op_id="a")])
            wire.answers.clear()
            with pytest.raises(OutcomeUnknown):
                await engine.store.apply([op("❤", op_id="b")])
            with pytest.raises(Unavailable):  # at once: nothing is decided on what is in doubt
                await asyncio.wait_for(engine.store.apply([op("😆", op_id="c")]), 0.5)
            wire.answers.set()
            wire.cut()
            taps = [op(op_id="a"), op("❤", op_id="b"), op("😆", op_id="c")]
            assert on(await apply(engine.store, taps)) == [True] * 3
            assert len(await facts_of(engine)) == 3
            assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "❤": 1, "😆": 1}

    async def test_another_process_finishes_what_one_could_not(self, place: Place, engines: Engines) -> None:
        async with wire_to(engines.port("cassandra")) as wire:
            url = place.cassandra.replace(str(engines.port("cassandra")), str(wire.port))
            cut_off = await place.store(QUICK, cassandra=url)
            other = await place.engine()
            await cut_off.apply([op(op_id="a")])
            wire.answers.clear()
            wire.cut()
            with pytest.raises((OutcomeUnknown, Unavailable)):
                await cut_off.apply([op(op_id="b")])
            taps = [op("❤", op_id="c"), op(op_id="b")]
            assert on(await apply(other.store, taps)) == [True, False]
            wire.answers.set()
            wire.cut()
            assert on(await apply(cut_off, [op(op_id="b"), op("❤", op_id="d")])) == [False, False]
            assert [(fact.added, fact.removed) for fact in await facts_of(other)] == [
                ("👍", ""),
                ("", "👍"),
                ("❤", ""),
                ("", "❤"),
            ]

    async def test_who_is_far_from_cassandra_has_its_turn_on_targets_that_another_changes_all_the_time(
        self, place: Place, engines: Engines
    ) -> None:
        async with wire_to(engines.port("cassandra")) as wire:
            near = await place.engine()
            far = await place.store(cassandra=place.cassandra.replace(str(engines.port("cassandra")), str(wire.port)))
            wire.delay = 0.03
            turns = [asyncio.create_task(changing(near.store, f"u{i}")) for i in range(8)]
            try:
                for i in range(5):
                    assert on(await far.apply([op(target=f"messages/{j}", op_id=f"far-{i}-{j}") for j in range(4)]))
                    assert on(await near.store.apply([op(user="bob", op_id=f"near-{i}")]))
            finally:
                for turn in turns:
                    turn.cancel()
                await asyncio.gather(*turns, return_exceptions=True)
            assert all(turn.cancelled() for turn in turns)  # none of them was refused

    async def test_late_and_repeated_writes_change_nothing(self, place: Place) -> None:
        engine = await place.engine()
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        await store.apply([op(op_id="a"), op("❤", user="bob", op_id="b")])
        await store.apply([op(op_id="c"), op("❤", user="bob", op_id="d"), op("😆", user="bob", op_id="e")])
        await store.published()
        before = await store.tally("default", ["messages/1"])
        (node,) = await store._rows.nodes()
        for batch, _ in await store._rows.batches(node.node, 0):
            await store._rows.save_entries(batch.entries, asyncio.get_running_loop().time() + 10)
        assert await store.tally("default", ["messages/1"]) == before
        assert (await store.own("default", "bob", ["messages/1"]))[0].emojis == ("😆",)


class TestProcesses:
    """Processes end."""

    async def test_two_processes_toggling_the_same_keys_are_exact_in_the_end(
        self, place: Place, tmp_path: Path
    ) -> None:
        processes = [_load(place, tmp_path, name, 15) for name in ("a", "b")]
        outputs = await asyncio.gather(*(asyncio.to_thread(each.communicate, timeout=90) for each in processes))
        assert [process.returncode for process in processes] == [0, 0]
        acked = [line.split() for output, _ in outputs for line in output.splitlines()]
        assert len(acked) == 2 * 15 * 25
        engine = await place.engine()
        await check_acked(engine, acked)

    async def test_what_a_killed_process_had_acked_is_published_by_another(self, place: Place, tmp_path: Path) -> None:
        acked: list[list[str]] = []
        for run in range(3):
            process = _load(place, tmp_path, f"k{run}", 100_000)
            stdout = process.stdout
            assert stdout is not None
            acked += [(await asyncio.to_thread(stdout.readline)).split() for _ in range(100 + 75 * run)]
            process.kill()
            rest = (await asyncio.to_thread(process.communicate, timeout=60))[0].splitlines(keepends=True)
            acked += [line.split() for line in rest if line.endswith("\n")]
        place.clock = ManualClock(2_000_000_000.0)
        engine = await place.engine(QUICK)
        store = engine.store
        assert isinstance(store, CassandraReactionStore)
        while len(await store._rows.nodes()) > 1:  # noqa: ASYNC110 - its own is left
            await asyncio.sleep(0.05)
        await check_acked(engine, acked)

    async def test_what_follows_another_writer_comes_after_it_also_behind_a_repetition(self, place: Place) -> None:
        first, second = await place.store(), await place.store()
        homes = first._home, second._home
        assert homes[0] is not None
        assert homes[1] is not None
        answers = await apply(first, [op(op_id="a")])
        assert await apply(second, [op(op_id="a")]) == answers  # nothing to be done: no batch
        await apply(second, [op("❤", op_id="b")])
        ((batch, _),) = await second._rows.batches(homes[1].node, 0)
        assert batch.after == [(homes[0].node, 1)]

    async def test_outboxes_that_belong_in_between_each_other_are_adopted_together(self, place: Place) -> None:
        writers = [await place.store(), await place.store()]
        ops = [op(op_id=f"o{i}") for i in range(10)]
        for i, each in enumerate(ops):  # each batch comes after one of the other writer
            await apply(writers[i % 2], [each])
        await place.published()
        homes = {store: store._home for store in writers}
        with capture_logs() as said:
            for store, home in homes.items():
                assert home is not None
                await store._rows.save_published(home.node, 2)
                await store._hot.leave(home.generation, home.node, home.node)
            engine = await place.engine()
            left = {home.node for home in homes.values() if home is not None}
            while left & {node.node for node in await writers[0]._rows.nodes()}:  # noqa: ASYNC110 - seen in Cassandra
                await asyncio.sleep(0.02)
        assert not [line for line in said if line["event"] == "facts of another writer are late"]
        versions = [fact.version for fact in await facts_of(engine)]
        assert versions == sorted(versions)
        assert len(set(versions)) == 10


def _load(place: Place, folder: Path, name: str, batches: int) -> subprocess.Popen[str]:
    """A process that toggles random keys of the store and prints each op it has an ack for."""
    module = "tests.contract.storeload_cassandra"
    return subprocess.Popen(
        [sys.executable, "-m", module, place.redis, place.cassandra, str(folder / "log.db"), name, str(batches)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
