"""Composes what has to do with users: their store, what they do, and the permissions that conversations ask for."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from kit.adapters.engines import Engines
from kit.auth.cursor import Cursors
from kit.clock import Clock
from message_svc.config import Config
from message_svc.service.user_limits import UserLimits
from message_svc.users.adapters.sqlite_users import open_sqlite_users
from message_svc.users.names import ProfileNames
from message_svc.users.permissions import Permissions
from message_svc.users.ports import ErasureStore, UserStore
from message_svc.users.relations import Relations
from message_svc.users.service import Users
from message_svc.users.standings import Standings


class Store(UserStore, ErasureStore, Protocol):
    """Users, and the erasures that are not done."""


class OpenedUsers(NamedTuple):
    """What there is of users."""

    store: Store
    standings: Standings
    users: Users
    relations: Relations
    permissions: Permissions
    names: ProfileNames
    is_shared: bool
    """Whether other processes use the same store."""


@asynccontextmanager
async def opened(
    config: Config, engines: Engines, cursors: Cursors, clock: Clock, limits: UserLimits
) -> AsyncIterator[OpenedUsers]:
    """Users are in `engines.postgres`, or in the file `users.db` of `engines.data`.

    Raises `kit.adapters.sqlite.file.NewerData` where a newer version wrote the file.
    """
    async with _open_store(engines) as store:
        # Other processes change what is in PostgreSQL; a file is of this process alone.
        fresh_seconds = math.inf if engines.postgres is None else config.users_fresh_seconds
        standings = Standings(store, clock, max_users=config.users_in_memory, fresh_seconds=fresh_seconds)
        yield OpenedUsers(
            store,
            standings,
            Users(store, standings, cursors, clock, limits),
            Relations(store, standings, cursors, clock, max_listed=config.listed_users),
            Permissions(store, standings),
            ProfileNames(store),
            engines.postgres is not None,
        )


@asynccontextmanager
async def _open_store(engines: Engines) -> AsyncIterator[Store]:
    if engines.postgres is not None:
        # Its driver is imported only where it is used.
        from message_svc.users.adapters.postgres_users import PostgresUsers

        yield PostgresUsers(engines.postgres)
        return
    async with open_sqlite_users(engines.data / "users.db") as store:
        yield store
