"""PostgreSQL: a bounded pool of connections, and errors that say whether anything was done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from kit.adapters.postgres.connecting import UNREACHABLE, cannot_use, connect_arguments, connected, parse_postgres
from kit.adapters.postgres.schema import Schema, check_schemas
from kit.breaker import engine_breaker
from kit.errors import OutcomeUnknown, Unavailable

_RETRY_SECONDS = 0.5


class Postgres:
    """A database. Made by `open_postgres`."""

    def __init__(self, pool: Any, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._breaker = engine_breaker("postgresql")

    async def read(self, sql: str, *arguments: Any) -> Sequence[Any]:
        """The rows of a statement that changes nothing; raises Unavailable."""
        self._breaker.check()
        try:
            rows: Sequence[Any] = await self._pool.fetch(sql, *arguments)
        except UNREACHABLE as error:
            raise self._unavailable(error) from error
        except asyncpg.PostgresError:
            self._breaker.ok()  # it answers
            raise
        self._breaker.ok()
        return rows

    async def change(self, sql: str, *arguments: Any) -> Sequence[Any]:
        """The rows of a statement that is a transaction of its own; raises as `transaction`."""
        async with self.transaction() as connection:
            rows: Sequence[Any] = await connection.fetch(sql, *arguments)
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection of asyncpg in a transaction; an exception of the block rolls it back.

        Raises Unavailable where it did not begin, and OutcomeUnknown where the server was lost later.
        """
        self._breaker.check()
        try:
            connection = await self._pool.acquire(timeout=self._timeout)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            raise self._unavailable(error) from error
        try:
            async with connection.transaction():
                yield connection
        except UNREACHABLE as error:
            self._breaker.failed()
            raise OutcomeUnknown(
                "PostgreSQL was lost; it may have made the change", retry_after=_RETRY_SECONDS, detail=str(error)
            ) from error
        except Exception:
            self._breaker.ok()  # an error of the block, or a refusal: it answers
            raise
        else:
            self._breaker.ok()
        finally:
            with suppress(*UNREACHABLE):  # the pool drops a connection that is lost; the outcome is known by now
                await self._pool.release(connection, timeout=self._timeout)

    def _unavailable(self, error: Exception) -> Unavailable:
        self._breaker.failed()
        detail = str(error) or type(error).__name__
        return Unavailable("PostgreSQL does not answer; nothing was done", retry_after=_RETRY_SECONDS, detail=detail)


@asynccontextmanager
async def open_postgres(url: str, *, check: Sequence[Schema] = (), timeout: float = 2.0) -> AsyncIterator[Postgres]:
    """The database at that URL: see `connecting.parse_postgres`. `timeout` (seconds) applies to every step of a call.

    Raises CannotUse where it cannot be used, or lacks one of the schemas in `check`.
    """
    parsed = parse_postgres(url)
    async with connected(parsed, timeout) as connection:
        with cannot_use(parsed):
            await check_schemas(connection, check)
    with cannot_use(parsed):
        pool = await asyncpg.create_pool(
            **connect_arguments(parsed, timeout), min_size=1, max_size=parsed.whole("connections", 8)
        )
    try:
        yield Postgres(pool, timeout)
    finally:
        pool.terminate()
