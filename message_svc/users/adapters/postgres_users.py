"""The store of users in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from kit.adapters.postgres.engine import Postgres
from kit.adapters.sql_files import statements
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

SQL = statements(Path(__file__).with_name("postgres_statements.sql"))


class PostgresUsers:
    """See `ports.UserStore`. Any number of processes may use the same tables."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def enter(self, tenant: str, user: str, now_ms: int) -> Standing:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["standing"], tenant, user)
        if not rows:
            await self._postgres.change(SQL["enter"], tenant, user, now_ms)
            rows = await self._postgres.read(SQL["standing"], tenant, user)
        *preferences, blocked_with = rows[0]
        return Standing(preferences_of(preferences), frozenset(blocked_with))

    async def find(self, tenant: str, users: Sequence[str]) -> Mapping[str, Profile]:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["find"], tenant, list(users))
        return {row[0]: Profile._make(row) for row in rows}

    async def update(self, tenant: str, user: str, change: ProfileChange) -> Profile:
        """See `UserStore`."""
        try:
            (row,) = await self._postgres.change(SQL["update"], tenant, user, *change)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "users_username":
                raise UsernameTaken("another user has this username", field="username") from None
            raise PhoneTaken("another user has this number", field="phone") from None
        return Profile._make(row)

    async def search(self, tenant: str, prefix: str, after: str, limit: int) -> Sequence[Profile]:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["search"], tenant, prefix, after, prefix + AFTER_ALL, limit)
        return [Profile._make(row) for row in rows]

    async def find_by_phone(self, tenant: str, phone: str) -> Profile | None:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["find_by_phone"], tenant, phone)
        return Profile._make(rows[0]) if rows else None

    async def preferences(self, tenant: str, user: str) -> Preferences:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["preferences"], tenant, user)
        return preferences_of(rows[0]) if rows else DEFAULTS

    async def set_preferences(self, tenant: str, user: str, change: PreferencesChange) -> Preferences:
        """See `UserStore`."""
        (row,) = await self._postgres.change(SQL["set_preferences"], tenant, user, *change)
        return preferences_of(row)

    async def relations(self, tenant: str, user: str, others: Sequence[str]) -> Mapping[str, Relation]:
        """See `UserStore`."""
        rows = await self._postgres.read(SQL["relations"], tenant, user, list(others))
        return {row[0]: relation_of(row[1:]) for row in rows}

    async def add_contact(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """See `UserStore`."""
        return await self._add("contacts", tenant, user, other, now_ms, limit)

    async def remove_contact(self, tenant: str, user: str, other: str) -> None:
        """See `UserStore`."""
        await self._postgres.change(SQL["remove_contacts"], tenant, user, other)

    async def contacts(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """See `UserStore`."""
        return await self._list("contacts", tenant, user, after, limit)

    async def block(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """See `UserStore`."""
        return await self._add("blocks", tenant, user, other, now_ms, limit)

    async def unblock(self, tenant: str, user: str, other: str) -> None:
        """See `UserStore`."""
        await self._postgres.change(SQL["remove_blocks"], tenant, user, other)

    async def blocked(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """See `UserStore`."""
        return await self._list("blocks", tenant, user, after, limit)

    async def erase(self, tenant: str, user: str) -> int:
        """See `UserStore`."""
        async with self._postgres.transaction() as connection:
            return sum([len(await connection.fetch(SQL[statement], tenant, user)) for statement in ERASURE])

    async def add_erasure(self, tenant: str, user: str, now_ms: int) -> None:
        """See `ErasureStore`."""
        await self._postgres.change(SQL["add_erasure"], tenant, user, now_ms)

    async def claim_erasures(self, before_ms: int, now_ms: int, limit: int) -> Sequence[PendingErasure]:
        """See `ErasureStore`."""
        rows = await self._postgres.change(SQL["claim_erasures"], before_ms, now_ms, limit)
        return [PendingErasure(*row) for row in rows]

    async def record_erasure(self, tenant: str, user: str, now_ms: int, erased: int) -> None:
        """See `ErasureStore`."""
        await self._postgres.change(SQL["record_erasure"], tenant, user, now_ms, erased)

    async def remove_erasure(self, tenant: str, user: str) -> None:
        """See `ErasureStore`."""
        await self._postgres.change(SQL["remove_erasure"], tenant, user)

    async def _add(self, table: str, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        async with self._postgres.transaction() as connection:
            # One after the other, or each would find space for itself.
            await connection.execute(SQL["lock_list"], f"{table} {tenant} {user}")
            found: Any = await connection.fetchrow(SQL[f"find_{table}"], tenant, user, other)
            if found is not None:
                return Related._make(found)
            if await connection.fetchval(SQL[f"count_{table}"], tenant, user) >= limit:
                raise ListFull(f"a list has at most {limit} users")
            await connection.execute(SQL[f"add_{table}"], tenant, user, other, now_ms)
        return Related(other, now_ms)

    async def _list(self, table: str, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        rows = await self._postgres.read(SQL[f"list_{table}"], tenant, user, after, limit)
        return [Related._make(row) for row in rows]
