"""The store of users in PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from kit.adapters.postgres.engine import open_postgres
from kit.adapters.postgres.schema import migrate
from kit.engine_url import CannotUse
from message_svc.errors import UsernameTaken
from message_svc.users.adapters.postgres_users import PostgresUsers
from message_svc.users.domain import Profile, ProfileChange
from message_svc.users.ports import UserStore
from stack.storage.schemas import postgres_schemas
from tests.contract.messages.user_store import T, UserStoreContract
from tests.engines import Engines


@pytest.fixture(name="url")
async def fixture_url(engines: Engines) -> str:
    """A database with the tables."""
    url = engines.postgres()
    await migrate(url, postgres_schemas())
    return url


class TestPostgresUserStore(UserStoreContract):
    """In PostgreSQL."""

    @pytest.fixture(name="store")
    async def fixture_store(self, url: str) -> AsyncIterator[UserStore]:
        async with open_postgres(url) as postgres:
            yield PostgresUsers(postgres)


async def test_of_users_that_race_on_two_nodes_one_gets_the_name(url: str) -> None:
    async with open_postgres(url) as here, open_postgres(url) as there:
        stores = [PostgresUsers(here), PostgresUsers(there)]
        users = [f"racer-{number}" for number in range(50)]
        for user in users:
            await stores[0].enter(T, user, 1_000)
        results = await asyncio.gather(
            *(stores[n % 2].update(T, user, ProfileChange("ann")) for n, user in enumerate(users)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Profile) for result in results) == 1
        assert sum(isinstance(result, UsernameTaken) for result in results) == 49


async def test_a_database_without_tables_is_refused_until_it_is_migrated(engines: Engines) -> None:
    url = engines.postgres()
    files = ["message_svc/0001_users.sql", "message_svc/0002_erasures.sql"]
    with pytest.raises(CannotUse, match=rf"{', '.join(map(re.escape, files))}: run plaudit migrate"):
        async with open_postgres(url, check=postgres_schemas()):
            pass
    assert await migrate(url, postgres_schemas(), check=True) == files
    made = await asyncio.gather(*(migrate(url, postgres_schemas()) for _ in range(3)))
    assert sorted(made) == [[], [], files]
    assert await migrate(url, postgres_schemas(), check=True) == []
    async with open_postgres(url, check=postgres_schemas()):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:1/postgres",  # nothing listens there
        "postgresql://127.0.0.1",
        "postgresql://127.0.0.1/db?schema=No",
        "postgresql://127.0.0.1/db?tls=maybe",
        "postgresql://127.0.0.1/db?sslmode=require",
        "mysql://127.0.0.1/db",
    ],
)
async def test_a_database_that_cannot_be_used_is_one_line_for_the_operator(url: str) -> None:
    with pytest.raises(CannotUse):
        async with open_postgres(url):
            pass


async def test_a_wrong_password_or_database_is_refused_without_its_password(engines: Engines) -> None:
    url = f"postgresql://postgres:secret@127.0.0.1:{engines.port('postgresql')}/nothing"
    with pytest.raises(CannotUse, match="nothing") as refused:
        async with open_postgres(url):
            pass
    assert "secret" not in str(refused.value)
