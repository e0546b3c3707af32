"""SQLite files: opening them, their schemas, and statements for many rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import apsw

from kit.errors import Unavailable
from kit.private_files import make_private, touch_private


class CannotOpen(Exception):
    """The file cannot be used; the message is one line for the operator."""


class NewerData(CannotOpen):
    """The file was written by a newer version of this program."""


def connect(path: Path, *, durable: bool = True, busy_seconds: float = 5.0) -> apsw.Connection:
    """Opens a file in WAL mode. Creates the file and its folder where they are missing, readable by the owner only.

    Where `durable`, a commit is on disk when it returns; otherwise a crash of the machine, though not of the process,
    may lose the last commits. Waits up to `busy_seconds` for locks of other processes. Raises CannotOpen.
    """
    with opening(path):
        make_private(path.parent)
        touch_private(path)  # SQLite creates its other files with the same permissions
        connection = apsw.Connection(str(path), statementcachesize=512)
        connection.set_busy_timeout(round(busy_seconds * 1000))
        _become_wal(connection, busy_seconds)
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}").fetchall()
    connection.execute("PRAGMA cache_size = -65536").fetchall()
    return connection


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Raises CannotOpen for errors within the block, which opens a file or creates its schema."""
    try:
        yield
    except OSError as error:
        raise CannotOpen(f"{path} cannot be used: {error.strerror}") from error
    except apsw.NotADBError as error:
        raise CannotOpen(f"{path} is not a SQLite database: put the right file there, or move it away") from error
    except apsw.Error as error:
        raise CannotOpen(f"{path} cannot be used: {error}") from error


def _become_wal(connection: apsw.Connection, busy_seconds: float) -> None:
    # The busy timeout of SQLite does not cover the change of the journal mode, which two processes may do at once.
    until = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)


def adopt_schema(
    connection: apsw.Connection,
    component: str,
    version: int,
    script: Path,
    upgrades: Mapping[int, Callable[[apsw.Connection], None]] | None = None,
) -> None:
    """Creates the tables of a component where the file has none, or upgrades older ones, in one transaction.

    `upgrades[n]` upgrades version n to n + 1. Several components may share a file. Raises NewerData where the file
    has a later version of this component, and CannotOpen where it cannot be written.
    """
    sql = script.read_text(encoding="utf-8")
    with opening(Path(connection.filename)), immediate(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS plaudit_schema"
            " (component TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
        )
        found = connection.execute("SELECT version FROM plaudit_schema WHERE component = ?", (component,)).fetchone()
        if found is not None and found[0] > version:
            raise NewerData(
                f"{connection.filename}: {component} has schema version {found[0]}, this program knows {version}; "
                "start the newer program, or another data folder"
            )
        if found is None:
            connection.execute(sql)
            connection.execute("INSERT INTO plaudit_schema VALUES (?, ?)", (component, version))
        elif found[0] < version:
            for older in range(found[0], version):
                (upgrades or {})[older](connection)
            connection.execute("UPDATE plaudit_schema SET version = ? WHERE component = ?", (version, component))


@contextmanager
def immediate(connection: apsw.Connection) -> Iterator[None]:
    """A transaction that may write from its first statement on; an exception rolls it back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def readable() -> Iterator[None]:
    """Raises Unavailable where a read in the block fails."""
    try:
        yield
    except apsw.Error as error:
        raise Unavailable("the store cannot be read", retry_after=0.5, detail=str(error)) from error


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """All reads in the block are of one consistent snapshot; raises Unavailable where one fails."""
    with readable(), connection:
        yield


# The row counts that bulk statements are prepared for. Each step of SQLite releases the interpreter lock, so one step
# processes many rows; the sizes are few, so that prepared statements are reused.
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512)
MAX_ROWS = _SIZES[-1]
_SIZE_FOR = [next(size for size in _SIZES if size >= n) for n in range(1, MAX_ROWS + 1)]


@cache
def _expanded(sql: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return sql.replace(":rows", ",".join([row] * rows))


def in_bulk(connection: apsw.Connection, sql: str, width: int, flat: list[Any]) -> list[tuple[Any, ...]]:
    """Runs `sql`, in which `VALUES :rows` is replaced by rows of `width` values, which are in `flat` one after the
    other.

    The last row is repeated to fill a prepared size, so the statement must tolerate repeated rows.
    """
    results: list[tuple[Any, ...]] = []
    most = MAX_ROWS * width
    for start in range(0, len(flat), most):
        part = flat[start : start + most] if len(flat) > most else flat
        rows = len(part) // width
        size = _SIZE_FOR[rows - 1]
        if size > rows:
            part = part + part[-width:] * (size - rows)
        results += connection.execute(_expanded(sql, width, size), part).fetchall()
    return results


def scalar(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Any:
    """The first column of the first row, or None."""
    row = connection.execute(sql, bindings).fetchone()
    return None if row is None else row[0]
