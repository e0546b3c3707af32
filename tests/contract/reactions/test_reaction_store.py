"""The reaction store in a SQLite file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.adapters.sqlite.file import NewerData, connect, scalar
from kit.clock import ManualClock
from kit.errors import Overloaded, Unavailable
from kit.ledger.op_ids import timed_at
from kit.ledger.shard.limits import ShardLimits
from reaction_svc.domain import Refusal
from reaction_svc.model.model import ModelLimits
from tests.contract.reactions.reaction_engine import LEDGER, Store, opened_in_file
from tests.contract.reactions.reaction_erasure import ErasureContract
from tests.contract.reactions.reaction_store import MOST, Engine, ReactionStoreContract, check_acked, facts_of, on, op
from tests.contract.reactions.storeload import ROOT, counts_by_facts, environment


class TestSqliteReactionStore(ErasureContract, ReactionStoreContract):
    """In a SQLite file."""

    @pytest.fixture(name="engine")
    async def fixture_engine(self, tmp_path: Path) -> AsyncIterator[Engine]:
        async with sqlite_engine(tmp_path / "reactions.db") as engine:
            yield engine

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, tmp_path: Path) -> AsyncIterator[Store]:
        async with sqlite_engine(tmp_path / "reactions.db", engine.clock) as other:
            yield other.store

    async def test_old_answers_are_deleted_and_late_retries_with_timed_ids_are_refused(self, engine: Engine) -> None:
        at = int(engine.clock.now() * 1_000)
        old = [op(op_id=timed(at)), op("❤", op_id=timed(at, 1)), op("❤", op_id="untimed")]
        first = await engine.store.apply(old)
        assert engine.store.file is not None
        engine.clock.advance(100_000)
        young = op("😆", user="carol", op_id=timed(int(engine.clock.now() * 1_000)))
        answer = await engine.store.apply([young, op("😆", user="carol", op_id="young")])
        assert await engine.store.apply(old) == first
        before = int((engine.clock.now() - 86_400) * 1_000_000)
        assert await engine.store.file.forget(before) == 2
        assert await engine.store.file.forget(before) == 0
        async with sqlite_engine(engine.path, engine.clock) as later:
            tally = await later.store.tally("default", ["messages/1"])
            assert await later.store.apply(old[:2]) == [Refusal.OP_EXPIRED] * 2
            assert await later.store.tally("default", ["messages/1"]) == tally
            assert await later.store.apply([young, op("😆", user="carol", op_id="young")]) == answer

    async def test_old_rows_are_deleted_in_steps_until_all_were_examined(self, engine: Engine) -> None:
        for batch in range(6):
            await engine.store.apply([op(op_id=f"{batch}-{i}") for i in range(100)])
        engine.clock.advance(100_000)
        before = int(engine.clock.now() * 1_000_000)
        assert engine.store.file is not None
        assert [await engine.store.file.forget(before) for _ in range(4)] == [256, 256, 88, 0]

    async def test_answered_changes_exist_after_a_restart(self, tmp_path: Path) -> None:
        tap = op(op_id="a")
        async with sqlite_engine(tmp_path / "r.db") as first:
            answers = await first.store.apply([tap, op("❤")])
        async with sqlite_engine(tmp_path / "r.db") as second:
            assert (await second.store.own("default", "alice", ["messages/1"]))[0].emojis == ("👍", "❤")
            assert await second.store.apply([tap]) == answers[:1]
            assert len(await facts_of(second)) == 2

    async def test_data_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        async with sqlite_engine(tmp_path / "r.db"):
            pass
        connection = connect(tmp_path / "r.db")
        connection.execute("UPDATE plaudit_schema SET version = 99 WHERE component = 'reaction_svc'")
        connection.close()
        with pytest.raises(NewerData, match="reaction_svc has schema version 99"):
            async with sqlite_engine(tmp_path / "r.db"):
                pass

    async def test_with_a_full_disk_changes_are_refused_and_the_process_continues(self, tmp_path: Path) -> None:
        async with sqlite_engine(tmp_path / "r.db") as engine:
            store = engine.store
            assert store.file is not None
            await store.apply([op(op_id="before")])
            connection = store.file.ledger.connection  # the limit belongs to a connection
            pages = scalar(connection, "PRAGMA max_page_count")
            scalar(connection, "PRAGMA max_page_count = 1")

            async def fill() -> None:
                for batch in range(100):
                    await store.apply([op(user=f"{batch}-{i}", op_id=f"{batch}-{i}") for i in range(500)])

            with pytest.raises(Unavailable):
                await fill()
            acked = (await store.tally("default", ["messages/1"]))[0].counts["👍"]
            assert acked % 500 == 1
            assert counts_by_facts(await facts_of(engine)) == {"👍": acked}
            scalar(connection, f"PRAGMA max_page_count = {pages}")
            assert on(await store.apply([op(op_id="before"), op("❤")])) == [True, True]

    async def test_commands_above_the_queue_limit_are_refused(self, tmp_path: Path) -> None:
        async with sqlite_engine(tmp_path / "r.db", limits=ShardLimits(queued_commands=10)) as engine:
            results = await asyncio.gather(
                *(engine.store.apply([op(user=f"u{i}")]) for i in range(50)), return_exceptions=True
            )
            acked = [result for result in results if not isinstance(result, BaseException)]
            assert 0 < len(acked) < 50
            assert all(isinstance(result, Overloaded) for result in results if isinstance(result, BaseException))
            assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": len(acked)}

    async def test_two_processes_toggling_the_same_keys_are_exact_in_the_end(self, tmp_path: Path) -> None:
        processes = [_load(tmp_path, name, batches=40) for name in ("a", "b")]
        outputs = [process.communicate(timeout=60)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        acked = [line.split() for output in outputs for line in output.splitlines()]
        assert len(acked) == 2 * 40 * 25
        async with sqlite_engine(tmp_path / "r.db") as engine:
            await check_acked(engine, acked)

    async def test_a_process_killed_during_a_write_loses_no_acked_change(self, tmp_path: Path) -> None:
        acked: list[list[str]] = []
        for run in range(3):
            process = _load(tmp_path, f"k{run}", batches=100_000)
            assert process.stdout is not None
            acked += [process.stdout.readline().split() for _ in range(200 + 150 * run)]
            process.kill()
            # Not by `communicate`, which skips what `readline` has buffered and so may begin within a line.
            with process.stdout as output:
                rest = output.readlines()
            process.wait(60)
            acked += [line.split() for line in rest if line.endswith("\n")]
            async with sqlite_engine(tmp_path / "r.db") as engine:
                await check_acked(engine, acked)


def _load(folder: Path, name: str, batches: int) -> subprocess.Popen[str]:
    """A process that toggles random keys of the store and prints each op it has an ack for."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.contract.reactions.storeload", str(folder / "r.db"), name, str(batches)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )


def timed(millis: int, number: int = 0) -> str:
    return timed_at(millis)[:-12] + f"{number:012x}"


@asynccontextmanager
async def sqlite_engine(
    path: Path, clock: ManualClock | None = None, limits: ShardLimits | None = None
) -> AsyncIterator[Engine]:
    clock = clock or ManualClock()
    async with (
        open_sqlite_log(path, ledgers=[LEDGER]) as log,
        opened_in_file(log, path, clock, rules=ModelLimits(max_emoji=MOST), limits=limits) as store,
    ):
        yield Engine(store, log, clock, path=path)
