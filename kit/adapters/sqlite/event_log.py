"""The event log in a SQLite file. The topic of a ledger is the ledger itself, so state and event commit together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import apsw
import structlog

from kit.adapters.sqlite.appends import PendingAppend, commit_appends
from kit.adapters.sqlite.file import adopt_schema, connect, immediate, opening, scalar
from kit.adapters.sqlite.offsets import adopt_offsets, read_offset, save_offset
from kit.adapters.sqlite.recent import RecentRecords
from kit.errors import Unavailable
from kit.event_log.ports import Record
from kit.ids import new_id
from kit.ledger.entry import Entry, EntryName
from kit.tasks import background
from kit.worker import Worker

SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("event_log.sql")
_READ = "SELECT position, key, payload FROM event_log WHERE topic = ? AND position > ? ORDER BY position LIMIT ?"
_LAST = "SELECT max(position) FROM event_log WHERE topic = ?"
_OLDEST = "SELECT min(position) FROM event_log WHERE topic = ?"
_TRIM = (
    "DELETE FROM event_log WHERE position IN"
    " (SELECT position FROM event_log WHERE topic = ?1 AND position < ?2 ORDER BY position LIMIT ?3)"
)
_LEDGER_SCHEMA = Path(__file__).with_name("ledger.sql")
_LEDGER_READ = (
    "SELECT position, payload FROM ledger_entry WHERE ledger = ? AND shard = 0 AND position > ?"
    " ORDER BY position LIMIT ?"
)
_LEDGER_LAST = "SELECT max(position) FROM ledger_entry WHERE ledger = ? AND shard = 0"
_LEDGER_OLDEST = "SELECT min(position) FROM ledger_entry WHERE ledger = ? AND shard = 0"
_LEDGER_TRIM = (
    "DELETE FROM ledger_entry WHERE rowid IN (SELECT rowid FROM ledger_entry"
    " WHERE ledger = ?1 AND shard = 0 AND position < ?2 ORDER BY position LIMIT ?3)"
)
_META = "INSERT OR IGNORE INTO ledger_meta VALUES (?, 1, ?)"
_INCARNATION = "SELECT incarnation FROM ledger_meta WHERE ledger = ?"
_Result = TypeVar("_Result")
_CLOSE_SECONDS = 30.0
_SHARD = 0  # of a ledger in a file
_TRIM_SLICE = 64  # records; other writers can run between slices
log = structlog.get_logger()


class SqliteLog:
    """See `kit.event_log.ports`: `EventLog`, `Appender`, `ConsumerOffsets`. Made by `open_sqlite_log`; one serves a
    whole process."""

    def __init__(self, path: Path, poll_seconds: float, ledgers: Sequence[str], *, stores_offsets: bool) -> None:
        self.path = path
        self._writing = connect(path)
        adopt_schema(self._writing, "event_log", SCHEMA_VERSION, _SCHEMA)
        adopt_schema(self._writing, "ledger", SCHEMA_VERSION, _LEDGER_SCHEMA)
        if stores_offsets:
            adopt_offsets(self._writing)
        with opening(path):
            self._incarnations = {ledger: self._adopt_ledger(ledger) for ledger in ledgers}
        self._recent = {ledger: RecentRecords() for ledger in ledgers}
        self._reading = connect(path)
        self._poll_seconds = poll_seconds
        self._stores_offsets = stores_offsets
        self._changes = 0  # increases when another connection has committed
        self._waiters: set[asyncio.Future[None]] = set()
        self._has_waiters = asyncio.Event()
        self._appends: list[PendingAppend] = []
        self._writer_lock = asyncio.Lock()
        self._worker = Worker("event-log")

    def incarnation(self, ledger: str) -> str:
        """The incarnation of a ledger that the log was opened with."""
        return self._incarnations[ledger]

    def add_committed(self, ledger: str, shard: int, entry: Entry) -> None:
        """Adds an entry that this process has committed, and wakes its readers."""
        if shard == _SHARD:
            name = EntryName(self._incarnations[ledger], shard, entry.position)
            self._recent[ledger].add(Record(entry.position, str(name), entry.payload))
        self._wake_waiters()

    def partitions(self, topic: str) -> int:
        """See `EventLog`. A file has one writer at a time, so one partition is enough."""
        return 1

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """See `Appender`. Records that come during a commit are committed together."""
        append = PendingAppend(topic, key, payload)
        self._appends.append(append)
        try:
            async with self._writer_lock:
                if not append.is_tried:
                    appends, self._appends = self._appends, []
                    await self._worker.run(lambda: commit_appends(self._writing, appends))
                    if append.error is not None:
                        self._fail_waiting(append.error)
        except asyncio.CancelledError:
            self._appends = [one for one in self._appends if one is not append]
            raise
        if append.error is not None:
            raise _unavailable(append.error) from append.error
        self._wake_waiters()
        return append.position

    def _fail_waiting(self, error: apsw.Error) -> None:
        """Fails the records that wait behind one that failed: they must not overtake it."""
        waiting, self._appends = self._appends, []
        for append in waiting:
            append.error = error

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """See `EventLog`."""
        incarnation = self._incarnations.get(topic)
        if incarnation is not None:
            if not self._has_records_after(topic, after):
                return []
            if recent := self._recent[topic].after(after, limit):
                return recent
        with _reachable():
            statement = _READ if incarnation is None else _LEDGER_READ
            rows: list[Any] = self._reading.execute(statement, (topic, after, limit)).fetchall()
        if incarnation is None:
            return [Record(*row) for row in rows]
        return [Record(position, str(EntryName(incarnation, _SHARD, position)), payload) for position, payload in rows]

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """See `EventLog`. Commits of other processes become visible within the poll interval."""
        while not self._has_records_after(topic, after):
            waiting = asyncio.get_running_loop().create_future()
            self._waiters.add(waiting)
            self._has_waiters.set()
            try:
                await waiting
            finally:
                self._waiters.discard(waiting)

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """See `EventLog`."""
        with _reachable():
            oldest = _LEDGER_OLDEST if topic in self._incarnations else _OLDEST
            first, last = scalar(self._reading, oldest, (topic,)) or 0, self._last(topic)
        if topic in self._recent:
            self._recent[topic].advance(last)
        return first, last

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """See `EventLog`. Deletes in slices, so that other writers wait only briefly."""

        def slice_() -> int:
            with immediate(self._writing):
                trim = _LEDGER_TRIM if topic in self._incarnations else _TRIM
                self._writing.execute(trim, (topic, min(before, self._last(topic, self._writing)), _TRIM_SLICE))
                return self._writing.changes()

        if topic in self._recent:
            self._recent[topic].clear()
        while await self._run_in_writer_thread(slice_) == _TRIM_SLICE:
            pass

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """See `ConsumerOffsets`. Not every file stores offsets: see `open_sqlite_log`."""
        if not self._stores_offsets:
            return None
        with _reachable():
            return read_offset(self._reading, group, topic)

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """See `ConsumerOffsets`."""
        if self._stores_offsets:
            await self._run_in_writer_thread(lambda: save_offset(self._writing, group, topic, position))

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """See `ConsumerOffsets`."""

    async def poll_changes(self) -> None:
        """Checks for commits of other processes while a reader waits; never returns."""
        seen = self._data_version()
        while True:
            if not self._waiters:
                self._has_waiters.clear()
                await self._has_waiters.wait()
            await asyncio.sleep(self._poll_seconds)
            found = self._data_version()
            if found != seen:
                seen = found
                self._changes += 1
                self._wake_waiters()

    async def close(self, seconds: float) -> None:
        """Closes the file in the writer thread; no call may be in progress. Returns after at most that many seconds.

        The last connection to a file copies the whole WAL into it, for seconds on a slow disk. Nothing is lost where
        the process ends before: the next start reads the WAL.
        """
        try:
            await asyncio.wait_for(self._worker.close(self._close_connections), seconds)
        except TimeoutError:
            log.warning("the WAL is not copied in time, the next start does it", file=str(self.path))

    def _close_connections(self) -> None:
        self._reading.close()
        self._writing.close()

    def _wake_waiters(self) -> None:
        for waiting in self._waiters:
            if not waiting.done():
                waiting.set_result(None)
        self._waiters.clear()

    def _has_records_after(self, topic: str, after: int) -> bool:
        recent = self._recent.get(topic)
        if recent is None:
            return self._last(topic) > after
        if recent.last <= after and recent.checked_at != self._changes:
            recent.checked_at = self._changes
            recent.advance(self._last(topic))
        return recent.last > after

    def _last(self, topic: str, connection: apsw.Connection | None = None) -> int:
        with _reachable():
            last = _LEDGER_LAST if topic in self._incarnations else _LAST
            return scalar(connection or self._reading, last, (topic,)) or 0

    def _adopt_ledger(self, ledger: str) -> str:
        with immediate(self._writing):
            self._writing.execute(_META, (ledger, new_id()))
            return str(scalar(self._writing, _INCARNATION, (ledger,)))

    def _data_version(self) -> int:
        try:
            return int(scalar(self._reading, "PRAGMA data_version"))
        except apsw.Error:
            return -1  # unknown: the next read raises the error

    async def _run_in_writer_thread(self, work: Callable[[], _Result]) -> _Result:
        async with self._writer_lock:
            with _reachable():
                return await self._worker.run(work)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise _unavailable(error) from error


def _unavailable(error: apsw.Error) -> Unavailable:
    return Unavailable("the event log cannot be used", retry_after=0.5, detail=str(error))


@asynccontextmanager
async def open_sqlite_log(
    path: Path,
    *,
    poll_seconds: float = 0.01,
    ledgers: Sequence[str] = (),
    stores_offsets: bool = False,
    grace_seconds: Callable[[], float] = lambda: _CLOSE_SECONDS,
) -> AsyncIterator[SqliteLog]:
    """Opens the log in a file; raises `NewerData` where a newer version of this program wrote it.

    The topics in `ledgers` are read-only: they are the entries of a `kit.adapters.sqlite.ledger` in the same file.
    `stores_offsets`: whether the file has the committed positions of readers, of the topics of any file; otherwise
    they store their position with their own state. `grace_seconds` returns, once the block ends, how many seconds the
    close of the file may take.
    """
    opened = SqliteLog(path, poll_seconds, ledgers, stores_offsets=stores_offsets)
    try:
        async with background(opened.poll_changes()):
            yield opened
    finally:
        await opened.close(grace_seconds())
