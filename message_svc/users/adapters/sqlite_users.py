"""The store of users in a SQLite file."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from kit.adapters.sql_files import statements
from kit.adapters.sqlite.file import adopt_schema, connect, immediate, in_bulk, scalar
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.worker import Worker
from message_svc.errors import ListFull, PhoneTaken, UsernameTaken
from message_svc.users.adapters.rows import AFTER_ALL, ERASURE, preferences_of, relation_of
from message_svc.users.domain import (
    DEFAULTS,
    Preferences,
    PreferencesChange,
    Profile,
    ProfileChange,
    Related,
    Relation,
)
from message_svc.users.ports import PendingErasure, Standing

SCHEMA_VERSION = 2
SQL = statements(Path(__file__).with_name("sqlite_statements.sql"))
_SCHEMA = Path(__file__).with_name("sqlite.sql")
_Change = Callable[[apsw.Connection], Any]


class _PendingChange:
    """A change that waits for its commit, then its result."""

    def __init__(self, change: _Change) -> None:
        self.change = change
        self.result: Any = None
        self.problem: Problem | None = None


class SqliteUsers:
    """See `ports.UserStore`. Changes that come at once share a commit; reads are short and run on the event loop."""

    def __init__(self, path: Path) -> None:
        """Raises `kit.adapters.sqlite.file.NewerData`."""
        self._writing = connect(path)
        try:
            adopt_schema(self._writing, "message_svc.users", SCHEMA_VERSION, _SCHEMA, {1: _add_erasures})
            self._reading = connect(path)
        except BaseException:
            self._writing.close()
            raise
        self._pending: deque[_PendingChange] = deque()
        self._worker = Worker("users")

    async def enter(self, tenant: str, user: str, now_ms: int) -> Standing:
        """See `UserStore`."""
        with self._reads() as connection:
            row: Any = connection.execute(SQL["preferences"], (tenant, user)).fetchone()
        if row is None:
            await self._write(lambda connection: _run(connection, "enter", tenant, user, now_ms))
        with self._reads() as connection:
            blocked: list[Any] = connection.execute(SQL["blocked_with"], (tenant, user)).fetchall()
        preferences = DEFAULTS if row is None else preferences_of(row)
        return Standing(preferences, frozenset(other for (other,) in blocked))

    async def find(self, tenant: str, users: Sequence[str]) -> Mapping[str, Profile]:
        """See `UserStore`."""
        with self._reads() as connection:
            rows = in_bulk(connection, SQL["find"], 2, [part for user in users for part in (tenant, user)])
        return {row[0]: Profile._make(row) for row in rows}

    async def update(self, tenant: str, user: str, change: ProfileChange) -> Profile:
        """See `UserStore`."""
        found: Profile = await self._write(partial(_update, tenant, user, change))
        return found

    async def search(self, tenant: str, prefix: str, after: str, limit: int) -> Sequence[Profile]:
        """See `UserStore`."""
        with self._reads() as connection:
            bindings = (tenant, prefix, after, prefix + AFTER_ALL, limit)
            rows: list[Any] = connection.execute(SQL["search"], bindings).fetchall()
        return [Profile._make(row) for row in rows]

    async def find_by_phone(self, tenant: str, phone: str) -> Profile | None:
        """See `UserStore`."""
        with self._reads() as connection:
            row: Any = connection.execute(SQL["find_by_phone"], (tenant, phone)).fetchone()
        return None if row is None else Profile._make(row)

    async def preferences(self, tenant: str, user: str) -> Preferences:
        """See `UserStore`."""
        with self._reads() as connection:
            row: Any = connection.execute(SQL["preferences"], (tenant, user)).fetchone()
        return DEFAULTS if row is None else preferences_of(row)

    async def set_preferences(self, tenant: str, user: str, change: PreferencesChange) -> Preferences:
        """See `UserStore`."""
        (row,) = await self._write(lambda connection: _run(connection, "set_preferences", tenant, user, *change))
        return preferences_of(row)

    async def relations(self, tenant: str, user: str, others: Sequence[str]) -> Mapping[str, Relation]:
        """See `UserStore`."""
        with self._reads() as connection:
            asked = [part for other in others for part in (tenant, user, other)]
            rows = in_bulk(connection, SQL["relations"], 3, asked)
        return {row[0]: relation_of(row[1:]) for row in rows}

    async def add_contact(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """See `UserStore`."""
        return await self._add("contact", tenant, user, other, now_ms, limit)

    async def remove_contact(self, tenant: str, user: str, other: str) -> None:
        """See `UserStore`."""
        await self._write(lambda connection: _run(connection, "remove_contact", tenant, user, other))

    async def contacts(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """See `UserStore`."""
        return self._list("contact", tenant, user, after, limit)

    async def block(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """See `UserStore`."""
        return await self._add("block", tenant, user, other, now_ms, limit)

    async def unblock(self, tenant: str, user: str, other: str) -> None:
        """See `UserStore`."""
        await self._write(lambda connection: _run(connection, "remove_block", tenant, user, other))

    async def blocked(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """See `UserStore`."""
        return self._list("block", tenant, user, after, limit)

    async def erase(self, tenant: str, user: str) -> int:
        """See `UserStore`."""

        def erase(connection: apsw.Connection) -> int:
            return sum(len(_run(connection, statement, tenant, user)) for statement in ERASURE)

        erased: int = await self._write(erase)
        return erased

    async def add_erasure(self, tenant: str, user: str, now_ms: int) -> None:
        """See `ErasureStore`."""
        await self._write(lambda connection: _run(connection, "add_erasure", tenant, user, now_ms))

    async def claim_erasures(self, before_ms: int, now_ms: int, limit: int) -> Sequence[PendingErasure]:
        """See `ErasureStore`."""
        rows = await self._write(lambda connection: _run(connection, "claim_erasures", before_ms, now_ms, limit))
        return [PendingErasure._make(row) for row in rows]

    async def record_erasure(self, tenant: str, user: str, now_ms: int, erased: int) -> None:
        """See `ErasureStore`."""
        await self._write(lambda connection: _run(connection, "record_erasure", tenant, user, now_ms, erased))

    async def remove_erasure(self, tenant: str, user: str) -> None:
        """See `ErasureStore`."""
        await self._write(lambda connection: _run(connection, "remove_erasure", tenant, user))

    async def close(self) -> None:
        """Commits what is pending, and closes the file."""
        await self._worker.close(self._writing.close)
        self._reading.close()

    async def _add(self, table: str, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        def add(connection: apsw.Connection) -> Related:
            if rows := _run(connection, f"find_{table}", tenant, user, other):
                return Related._make(rows[0])
            if scalar(connection, SQL[f"count_{table}"], (tenant, user)) >= limit:
                raise ListFull(f"a list has at most {limit} users")
            _run(connection, f"add_{table}", tenant, user, other, now_ms)
            return Related(other, now_ms)

        added: Related = await self._write(add)
        return added

    def _list(self, table: str, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        with self._reads() as connection:
            rows: list[Any] = connection.execute(SQL[f"list_{table}"], (tenant, user, after, limit)).fetchall()
        return [Related._make(row) for row in rows]

    async def _write(self, change: _Change) -> Any:
        pending = _PendingChange(change)
        self._pending.append(pending)
        await self._worker.run(self._commit)
        if pending.problem is not None:
            raise pending.problem
        return pending.result

    def _commit(self) -> None:
        """Commits all pending changes at once; one that fails is left out. Runs in the worker's thread."""
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        if not batch:
            return  # done with an earlier change
        try:
            with immediate(self._writing):
                for pending in batch:
                    try:
                        with self._writing:
                            pending.result = pending.change(self._writing)
                    except Problem as problem:
                        pending.problem = problem
        except apsw.BusyError as error:
            _fail(batch, Unavailable("the store of users is busy", retry_after=0.5, detail=str(error)))
        except apsw.Error as error:
            _fail(batch, OutcomeUnknown("the store of users failed", retry_after=0.5, detail=str(error)))

    @contextmanager
    def _reads(self) -> Iterator[apsw.Connection]:
        """The connection of reads; raises Unavailable."""
        try:
            yield self._reading
        except apsw.Error as error:
            raise Unavailable("the store of users cannot be read", retry_after=0.5, detail=str(error)) from error


@asynccontextmanager
async def open_sqlite_users(path: Path) -> AsyncIterator[SqliteUsers]:
    """The store in that file, until the block ends; raises `kit.adapters.sqlite.file.NewerData`."""
    store = SqliteUsers(path)
    try:
        yield store
    finally:
        await store.close()


def _add_erasures(connection: apsw.Connection) -> None:
    sql = _SCHEMA.read_text(encoding="utf-8")
    connection.execute(sql[sql.index("CREATE TABLE erasure") :])


def _run(connection: apsw.Connection, statement: str, *bindings: Any) -> list[Any]:
    return list(connection.execute(SQL[statement], bindings))


def _update(tenant: str, user: str, change: ProfileChange, connection: apsw.Connection) -> Profile:
    try:
        (row,) = _run(connection, "update", tenant, user, *change)
    except apsw.ConstraintError:
        if change.username and _run(connection, "holder_of_username", tenant, change.username, user):
            raise UsernameTaken("another user has this username", field="username") from None
        raise PhoneTaken("another user has this number", field="phone") from None
    return Profile._make(row)


def _fail(batch: Sequence[_PendingChange], problem: Problem) -> None:
    for pending in batch:
        pending.problem = problem
