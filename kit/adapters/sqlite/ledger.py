"""The ledger in a SQLite file: an entry and its table writes are one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import apsw
import structlog
from prometheus_client import Histogram

from kit.adapters.sqlite.event_log import SqliteLog
from kit.adapters.sqlite.file import connect, scalar
from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.entry import Entry
from kit.ledger.ports import Page, Watermarks
from kit.telemetry import SECONDS
from kit.worker import Worker

COMMIT_SECONDS = Histogram("plaudit_ledger_commit_seconds", "Time of one COMMIT of the file.", buckets=SECONDS)
# WAL pages between two checkpoints, 32 MB: a page that many commits change is copied into the file only once.
_CHECKPOINT_PAGES = 8_000
_TAIL = "SELECT max(position) FROM ledger_entry WHERE ledger = ? AND shard = ?"
_INSERT = "INSERT INTO ledger_entry VALUES (?, ?, ?, ?, ?, ?)"
_READ = (
    "SELECT position, append_id, stamp, payload FROM ledger_entry"
    " WHERE ledger = ? AND shard = ? AND position > ? ORDER BY position LIMIT ?"
)
_TRIM = "DELETE FROM ledger_entry WHERE ledger = ? AND shard = ? AND position < ?"
_NOT_SAVED = "the change could not be saved; nothing was done"
_Result = TypeVar("_Result")
log = structlog.get_logger()


class TransactionalTables(Protocol):
    """The tables of a service in the same file."""

    def write_within(self, connection: apsw.Connection, writes: Any) -> None:
        """Writes the tables of an entry, in the open transaction."""
        ...

    def rolled_back(self) -> None:
        """Called when the last transaction was rolled back or its outcome is unknown."""
        ...


class SqliteLedger:
    """See `kit.ledger.ports.LedgerStore`. Made by `open_sqlite_ledger`.

    Statements run on the thread of the event loop, in a few large steps. Only COMMIT, and a BEGIN that has to wait, run
    in the writer thread: a thread that runs small steps releases the interpreter lock at each of them and, while the
    loop is busy, gets it back only after a switch interval.
    """

    is_atomic = True

    def __init__(self, log_: SqliteLog, ledger: str, tables: TransactionalTables, busy_seconds: float) -> None:
        self.incarnation = log_.incarnation(ledger)
        self._log = log_
        self._ledger = ledger
        self._tables = tables
        self._busy_seconds = busy_seconds
        self._writing = connect(log_.path)
        self._writing.set_busy_timeout(0)  # the thread of the event loop never waits for a lock
        self._writing.wal_autocheckpoint(_CHECKPOINT_PAGES)
        self._reading = connect(log_.path)
        self._transaction_lock = asyncio.Lock()
        self._worker = Worker("ledger-commit")

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        """See `LedgerStore`."""

        def append() -> bool:
            connection = self._writing
            if (scalar(connection, _TAIL, (self._ledger, shard)) or 0) != entry.position - 1:
                return False
            connection.execute(_INSERT, (self._ledger, shard, *entry))
            self._tables.write_within(connection, writes)
            return True

        is_committed = await self.transact(append)
        if is_committed:
            self._log.add_committed(self._ledger, shard, entry)
        return is_committed

    async def read(self, shard: int, after: int, limit: int) -> Page:
        """See `LedgerStore`."""
        try:
            with self._reading:  # one transaction: the last position is of the same moment
                rows: list[Any] = self._reading.execute(_READ, (self._ledger, shard, after, limit)).fetchall()
                tail = scalar(self._reading, _TAIL, (self._ledger, shard)) or 0
        except apsw.Error as error:
            raise Unavailable("the ledger cannot be read", retry_after=0.5, detail=str(error)) from error
        return Page([Entry(*row) for row in rows], tail)

    async def tail(self, shard: int, *, confirm: bool) -> int:
        """See `LedgerStore`."""
        try:
            return scalar(self._reading, _TAIL, (self._ledger, shard)) or 0
        except apsw.Error as error:
            raise Unavailable("the ledger cannot be read", retry_after=0.5, detail=str(error)) from error

    async def watermarks(self, shard: int) -> Watermarks:
        """See `LedgerStore`. Committed entries are in the tables and on the log."""
        tail = await self.tail(shard, confirm=True)
        return Watermarks(tail, tail)

    async def save_watermarks(self, shard: int, marks: Watermarks) -> None:
        """See `LedgerStore`."""

    async def trim(self, shard: int, before: int) -> None:
        """See `LedgerStore`."""
        await self.transact(lambda: self._writing.execute(_TRIM, (self._ledger, shard, before)))

    async def transact(self, work: Callable[[], _Result]) -> _Result:
        """Runs `work` in a transaction. Raises Unavailable, or OutcomeUnknown from the commit itself."""
        async with self._transaction_lock:
            return await self._transact(work)

    @property
    def connection(self) -> apsw.Connection:
        """The connection that `transact` uses."""
        return self._writing

    async def close(self) -> None:
        """Closes the file, not on the event loop; no call may be in progress."""
        await self._worker.close(self._close_connections)

    def _close_connections(self) -> None:
        self._reading.close()
        self._writing.close()

    async def _transact(self, work: Callable[[], _Result]) -> _Result:
        connection = self._writing
        try:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                await self._worker.run(self._begin_after_wait)
            result = work()
        except apsw.Error as error:
            self._rollback()
            raise Unavailable(_NOT_SAVED, retry_after=0.5, detail=str(error)) from error
        except BaseException:
            self._rollback()
            raise
        with COMMIT_SECONDS.time():
            try:
                await self._worker.run(lambda: connection.execute("COMMIT"))
            except (apsw.FullError, apsw.BusyError) as error:
                self._rollback()
                raise Unavailable(_NOT_SAVED, retry_after=1.0, detail=str(error)) from error
            except apsw.Error as error:
                self._rollback()
                raise OutcomeUnknown("it is not known whether the change was saved", detail=str(error)) from error
        return result

    def _begin_after_wait(self) -> None:
        self._writing.set_busy_timeout(round(self._busy_seconds * 1000))
        try:
            self._writing.execute("BEGIN IMMEDIATE")
        finally:
            self._writing.set_busy_timeout(0)

    def _rollback(self) -> None:
        self._tables.rolled_back()
        try:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
        except apsw.Error as error:
            log.error("rollback failed", error=str(error))


@asynccontextmanager
async def open_sqlite_ledger(
    log_: SqliteLog, ledger: str, tables: TransactionalTables, *, busy_seconds: float = 5.0
) -> AsyncIterator[SqliteLedger]:
    """Opens a ledger in the file of the log. The log must be opened with the ledger among its `ledgers`."""
    store = SqliteLedger(log_, ledger, tables, busy_seconds)
    try:
        yield store
    finally:
        await store.close()
