"""Composes what has to do with users: their store, their service, and the permissions that conversations ask for."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.adapters.engines import Engines
from kit.auth.cursor import Cursors
from kit.clock import Clock
from kit.rpc.server import Hosted
from message_svc.config import Config
from message_svc.errors import ERRORS
from message_svc.service.user_limits import UserLimits
from message_svc.users.adapters.sqlite_users import open_sqlite_users
from message_svc.users.names import ProfileNames
from message_svc.users.permissions import Permissions
from message_svc.users.ports import UserStore
from message_svc.users.relations import Relations
from message_svc.users.service import Users
from message_svc.users.servicer import UserServicer
from message_svc.users.standings import Standings
from plaudit.message.v1 import user_service_pb2_grpc


@asynccontextmanager
async def opened(
    config: Config, engines: Engines, cursors: Cursors, clock: Clock, limits: UserLimits
) -> AsyncIterator[tuple[Permissions, ProfileNames, Hosted]]:
    """The permissions, the names and the service. Users are in `engines.postgres`, or in the file `users.db` of
    `engines.data`.

    Raises `kit.adapters.sqlite.file.NewerData` where a newer version wrote the file.
    """
    async with _open_store(engines) as store:
        # Other processes change what is in PostgreSQL; a file is of this process alone.
        fresh_seconds = math.inf if engines.postgres is None else config.users_fresh_seconds
        standings = Standings(store, clock, max_users=config.users_in_memory, fresh_seconds=fresh_seconds)
        servicer = UserServicer(
            Users(store, standings, cursors, clock, limits),
            Relations(store, standings, cursors, clock, max_listed=config.listed_users),
        )
        hosted = Hosted(servicer, user_service_pb2_grpc.add_UserServiceServicer_to_server, ERRORS)
        yield Permissions(store, standings), ProfileNames(store), hosted


@asynccontextmanager
async def _open_store(engines: Engines) -> AsyncIterator[UserStore]:
    if engines.postgres is not None:
        # Its driver is imported only where it is used.
        from message_svc.users.adapters.postgres_users import PostgresUsers

        yield PostgresUsers(engines.postgres)
        return
    async with open_sqlite_users(engines.data / "users.db") as store:
        yield store
