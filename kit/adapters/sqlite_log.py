"""The event log in a SQLite file, so that a room can save state and facts in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw

from kit.adapters.sqlite_file import adopt_schema, connect, immediate, scalar
from kit.errors import Unavailable
from kit.eventlog import Record
from kit.tasks import background

SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("sqlite_log.sql")
_APPEND = "INSERT INTO event_log (topic, key, payload) VALUES (?, ?, ?)"
_READ = "SELECT position, key, payload FROM event_log WHERE topic = ? AND position > ? ORDER BY position LIMIT ?"
_LAST = "SELECT max(position) FROM event_log WHERE topic = ?"
_OLDEST = "SELECT min(position) FROM event_log WHERE topic = ?"
_TRIM = (
    "DELETE FROM event_log WHERE position IN"
    " (SELECT position FROM event_log WHERE topic = ?1 AND position < ?2 ORDER BY position LIMIT ?3)"
)
_TRIM_SLICE = 64  # records; between slices other writers have their turn


class SqliteLog:
    """See `kit.eventlog`: `EventLog`, `Appender`, `Places`. Made by `open_sqlite_log`; one serves a whole process."""

    def __init__(self, path: Path, poll_seconds: float) -> None:
        self.path = path
        self._writing = connect(path)
        adopt_schema(self._writing, "event_log", SCHEMA_VERSION, _SCHEMA)
        self._reading = connect(path)
        self._poll_seconds = poll_seconds
        self._waiting: set[asyncio.Future[None]] = set()
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "event-log")

    @staticmethod
    def append_within(connection: apsw.Connection, topic: str, key: str, payload: bytes) -> None:
        """Appends a record in a transaction of the caller's, on the log's file. Call `notify` once it is committed."""
        connection.execute(_APPEND, (topic, key, payload))

    def notify(self) -> None:
        """Wakes this process's readers: something was committed."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    def partitions(self, topic: str) -> int:
        """See `EventLog`. A file has one writer at a time, so one partition is enough."""
        return 1

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """See `Appender`."""

        def write() -> int:
            with immediate(self._writing):
                self._writing.execute(_APPEND, (topic, key, payload))
                return self._writing.last_insert_rowid()

        position = await self._in_thread(write)
        self.notify()
        return position

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """See `EventLog`."""
        with _reachable():
            rows: list[Any] = self._reading.execute(_READ, (topic, after, limit)).fetchall()
        return [Record(*row) for row in rows]

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """See `EventLog`. What other processes commit is seen within the poll interval."""
        while self._last(topic) <= after:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            self._wanted.set()
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """See `EventLog`."""
        with _reachable():
            return scalar(self._reading, _OLDEST, (topic,)) or 0, self._last(topic)

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """See `EventLog`. Done in slices, so that nobody waits long for their turn to write."""

        def slice_() -> int:
            with immediate(self._writing):
                self._writing.execute(_TRIM, (topic, min(before, self._last(topic, self._writing)), _TRIM_SLICE))
                return self._writing.changes()

        while await self._in_thread(slice_) == _TRIM_SLICE:
            pass

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """See `Places`. A file remembers none: its readers keep their position with what they made of it."""
        return None

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """See `Places`."""

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """See `Places`."""

    async def poll(self) -> None:
        """Looks for commits of other processes while somebody waits; never returns."""
        seen = self._data_version()
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            await asyncio.sleep(self._poll_seconds)
            found = self._data_version()
            if found != seen:
                seen = found
                self.notify()

    def close(self) -> None:
        """Closes the file; nothing may be under way any more."""
        self._thread.shutdown()
        self._reading.close()
        self._writing.close()

    def _last(self, topic: str, connection: apsw.Connection | None = None) -> int:
        with _reachable():
            return scalar(connection or self._reading, _LAST, (topic,)) or 0

    def _data_version(self) -> int:
        try:
            return int(scalar(self._reading, "PRAGMA data_version"))
        except apsw.Error:
            return -1  # unknown: readers look for themselves, and meet the error

    async def _in_thread(self, work: Callable[[], int]) -> int:
        async with self._turn:
            with _reachable():
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise Unavailable(f"the event log cannot be used: {error}", retry_after=0.5) from error


@asynccontextmanager
async def open_sqlite_log(path: Path, *, poll_seconds: float = 0.01) -> AsyncIterator[SqliteLog]:
    """Opens the log in a file; raises `NewerData` where a newer version of this program wrote it."""
    log = SqliteLog(path, poll_seconds)
    try:
        async with background(log.poll()):
            yield log
    finally:
        log.close()
