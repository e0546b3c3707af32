"""What is old is forgotten, what is not stays: on a real store and a real log."""

from __future__ import annotations

from pathlib import Path

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.clock import ManualClock
from kit.tasks import background
from reaction_svc.config import Config
from reaction_svc.domain import Action, Op
from reaction_svc.retention import LEDGER, run_retention
from tests.contract.reactions.reaction_engine import opened_in_file
from tests.flows.crowd import eventually


async def test_old_answers_and_entries_are_deleted_and_recent_ones_stay(tmp_path: Path) -> None:
    clock = ManualClock()
    config = Config(op_seconds=3_600, log_records=3, retention_pause_seconds=0.001)
    path = tmp_path / "r.db"
    first = Op("default", "messages/1", "alice", "👍", Action.TOGGLE, "first")
    async with open_sqlite_log(path, ledgers=[LEDGER]) as log:
        async with opened_in_file(log, path, clock) as store:
            assert store.file is not None
            answers = await store.apply([first])
            for i in range(9):
                await store.apply([first._replace(op_id=f"{i}")])
            last = (await log.bounds(LEDGER))[1]
            forgotten: list[int] = []
            forget = store.file.forget

            async def counted(before: int) -> int:
                forgotten.append(await forget(before))
                return forgotten[-1]

            async def trimmed() -> bool:
                return (await log.bounds(LEDGER))[0] >= last - 3

            async def all_gone() -> bool:
                return sum(forgotten) == 10

            async with background(run_retention(counted, log, clock, config)):
                await eventually(trimmed)
                assert await store.apply([first]) == answers
                assert sum(forgotten) == 0
                clock.advance(3_601)
                await eventually(all_gone)
            assert (await log.bounds(LEDGER))[1] >= last
        # What is in memory no longer: it is another operation, as far as anyone knows.
        async with opened_in_file(log, path, clock) as later:
            assert await later.apply([first]) != answers
