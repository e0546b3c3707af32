"""Old notifications are deleted by their age."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.adapters.sqlite.event_log import open_sqlite_log
from message_svc.notifications.publisher import TOPIC
from message_svc.notifications.retention import delete_before


@pytest.mark.parametrize(
    ("times", "oldest", "left"),
    [
        ([], 5, []),
        ([1], 5, [1]),  # the newest stays: positions are never used again
        ([7], 5, [7]),
        ([1, 2, 3, 4, 5, 6, 7], 5, [5, 6, 7]),
        ([1, 2, 3], 0, [1, 2, 3]),
        ([1, 2, 3], 9, [3]),
        ([1] * 100 + [6] * 3, 5, [6] * 3),
    ],
)
async def test_older_records_are_deleted(tmp_path: Path, times: list[int], oldest: int, left: list[int]) -> None:
    async with open_sqlite_log(tmp_path / "log.db") as log:
        for time in times:
            await log.append("other", "k", b"x")
            await log.append(TOPIC, "k", b"%d" % time)
        await delete_before(log, int, oldest)
        assert [int(one.payload) for one in await log.read(TOPIC, 0, 1_000)] == left
        assert len(await log.read("other", 0, 1_000)) == len(times)
