"""The store of users in a SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from kit.adapters.sqlite.file import NewerData, connect
from message_svc.users.adapters.sqlite_users import SqliteUsers, open_sqlite_users
from message_svc.users.domain import ProfileChange
from message_svc.users.ports import UserStore
from tests.contract.messages.user_store import T, UserStoreContract


class TestSqliteUserStore(UserStoreContract):
    """In a file."""

    @pytest.fixture(name="store")
    async def fixture_store(self, tmp_path: Path) -> AsyncIterator[UserStore]:
        async with open_sqlite_users(tmp_path / "users.db") as store:
            yield store


async def test_users_are_there_after_a_restart(tmp_path: Path) -> None:
    async with open_sqlite_users(tmp_path / "users.db") as store:
        await store.enter(T, "alice", 1_000)
        await store.update(T, "alice", ProfileChange("alice"))
    async with open_sqlite_users(tmp_path / "users.db") as store:
        assert (await store.find(T, ["alice"]))["alice"].username == "alice"


def test_a_file_of_users_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    with closing(connect(path)) as connection:
        connection.execute(
            "CREATE TABLE plaudit_schema (component TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
        )
        connection.execute("INSERT INTO plaudit_schema VALUES (?, 99)", ("message_svc.users",))
    with pytest.raises(NewerData):
        SqliteUsers(path)
