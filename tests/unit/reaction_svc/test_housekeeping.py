"""What is old is forgotten, what is not stays: on a real store and a real log."""

from __future__ import annotations

from pathlib import Path

from kit.adapters.sqlite_log import open_sqlite_log
from kit.clock import ManualClock
from kit.tasks import background
from reaction_svc.adapters.sqlite import TOPIC, open_sqlite_store
from reaction_svc.codec import facts_to_bytes
from reaction_svc.config import Config
from reaction_svc.domain import Action, Op
from reaction_svc.housekeeping import keep_house
from tests.flows.crowd import eventually


async def test_old_op_ids_and_log_records_go_and_young_ones_stay(tmp_path: Path) -> None:
    clock = ManualClock()
    config = Config(op_seconds=3_600, log_records=3, housekeeping_seconds=0.001)
    async with open_sqlite_log(tmp_path / "r.db") as log, open_sqlite_store(log, facts_to_bytes, clock) as store:
        first = Op("default", "messages/1", "alice", "👍", Action.TOGGLE, "first")
        answers = await store.apply([first])
        for i in range(9):
            await store.apply([first._replace(op_id=f"{i}")])
        last = (await log.bounds(TOPIC))[1]
        async with background(keep_house(store, log, clock, config)):

            async def trimmed() -> bool:
                return (await log.bounds(TOPIC))[0] >= last - 3

            async def forgotten() -> bool:
                return await store.apply([first]) != answers

            await eventually(trimmed)
            assert await store.apply([first]) == answers
            clock.advance(3_601)
            await eventually(forgotten)
        assert (await log.bounds(TOPIC))[1] >= last
