"""What the event log in a SQLite file promises beyond the contract of all engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.adapters.sqlite.file import connect
from kit.errors import Unavailable


@pytest.fixture(name="log")
async def fixture_log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(tmp_path / "log.db") as log:
        yield log


async def test_records_that_come_during_a_commit_are_committed_together_or_not_at_all(log: SqliteLog) -> None:
    with closing(connect(log.path)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON event_log WHEN new.key = '7'"
                      " BEGIN SELECT raise(ABORT, 'refused'); END")  # fmt: skip
        outcomes = await asyncio.gather(*(log.append("t", f"{n}", b"x") for n in range(10)), return_exceptions=True)
        assert isinstance(outcomes[0], int)  # alone, before the others
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes[1:])
        other.execute("DROP TRIGGER refuse")
    assert await log.append("t", "7", b"x") > 0


async def test_no_record_is_appended_after_one_before_it_that_failed(log: SqliteLog) -> None:
    with closing(connect(log.path)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON event_log WHEN new.key = '0'"
                      " BEGIN SELECT raise(ABORT, 'refused'); END")  # fmt: skip
        outcomes = await asyncio.gather(*(log.append("t", f"{n}", b"x") for n in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
        other.execute("DROP TRIGGER refuse")
    assert await log.append("t", "0", b"x") == 1
    assert [record.key for record in await log.read("t", 0, 10)] == ["0"]


async def test_a_cancelled_append_is_not_written_by_another_one(log: SqliteLog) -> None:
    first = asyncio.create_task(log.append("t", "first", b"x"))
    second = asyncio.create_task(log.append("t", "second", b"x"))
    await asyncio.sleep(0)  # the first is on its way, the second waits
    second.cancel()
    await first
    await log.append("t", "third", b"x")
    assert [one.key for one in await log.read("t", 0, 10)] == ["first", "third"]


@pytest.mark.parametrize("stores_offsets", [True, False])
async def test_a_file_stores_positions_of_readers_where_it_is_opened_so(tmp_path: Path, stores_offsets: bool) -> None:
    for read in (None, 7):
        async with open_sqlite_log(tmp_path / "log.db", stores_offsets=stores_offsets) as log:
            assert await log.committed("g", "t") == (read if stores_offsets else None)
            await log.commit("g", "t", 3)
            await log.commit("g", "t", 7)
            await log.commit("g", "u", 4)
            await log.commit("h", "t", 5)
