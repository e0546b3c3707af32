"""How files of SQLite are closed: not on the event loop, and within a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from kit.adapters.sqlite.event_log import open_sqlite_log


class SlowCloses:
    """Every connection opened while it is installed blocks its close until `may_end` is set."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.threads: list[int] = []
        """The threads in which connections have been closed."""

    def install(self, connection: apsw.Connection) -> None:
        """A hook of `apsw.connection_hooks`."""
        connection.trace_v2(apsw.SQLITE_TRACE_CLOSE, self._closing)

    def _closing(self, _: object) -> None:
        self.threads.append(threading.get_ident())
        assert self.may_end.wait(10)


@pytest.fixture(name="closes")
def fixture_closes() -> Iterator[SlowCloses]:
    closes = SlowCloses()
    apsw.connection_hooks.append(closes.install)
    yield closes
    closes.may_end.set()
    apsw.connection_hooks.remove(closes.install)


async def test_the_event_loop_runs_while_a_file_is_closed(tmp_path: Path, closes: SlowCloses) -> None:
    async with open_sqlite_log(tmp_path / "log.db", grace_seconds=lambda: 10.0):
        asyncio.get_running_loop().call_later(0.01, closes.may_end.set)
    assert closes.may_end.is_set()
    assert len(closes.threads) == 2
    assert threading.get_ident() not in closes.threads


async def test_a_close_above_its_time_limit_is_not_awaited_and_loses_no_data(
    tmp_path: Path, closes: SlowCloses
) -> None:
    async with asyncio.timeout(5), open_sqlite_log(tmp_path / "log.db", grace_seconds=lambda: 0.01) as log:
        position = await log.append("t", "k", b"x")
    assert not closes.may_end.is_set()
    closes.may_end.set()
    async with open_sqlite_log(tmp_path / "log.db") as log:
        assert await log.bounds("t") == (position, position)
