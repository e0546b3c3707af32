"""Connects to PostgreSQL, and says in one line why that is not possible."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from kit.engine_url import CannotReach, CannotUse, EngineUrl, parse

OPTIONS = ("schema", "tls", "connections")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MIN_VERSION = 15
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
)
"""Errors of a server that cannot be reached, or ends connections. The last two are a server's with too many
connections, and one that is about to stop or to start; asyncpg itself says `InternalClientError` where it uses a
connection that was lost in the middle of a statement."""


def parse_postgres(url: str) -> EngineUrl:
    """Reads `postgresql://[user:password@]host:port[,host:port…]/database?schema=x&tls=verify&connections=8`.

    Of several hosts the one that accepts changes is used. Raises CannotUse.
    """
    parsed = parse(url, "postgresql", known=OPTIONS)
    if not parsed.name:
        raise CannotUse("the URL of PostgreSQL has no database after its host")
    if not _SCHEMA.fullmatch(parsed.options.get("schema", "plaudit")):
        raise CannotUse("the option schema of the URL is a lower-case letter, then letters, digits or _, at most 63")
    if parsed.options.get("tls", "off") not in ("off", "verify"):
        raise CannotUse("the option tls of the URL is off or verify")
    parsed.whole("connections", 8)
    return parsed


def connect_arguments(parsed: EngineUrl, timeout: float) -> Mapping[str, Any]:
    """The arguments of `asyncpg.connect`; `timeout` in seconds, of each step."""
    return {
        "host": [host for host, _ in parsed.hosts],
        "port": [port for _, port in parsed.hosts],
        "user": parsed.user or None,
        "password": parsed.password or None,
        "database": parsed.name,
        "timeout": timeout,
        "command_timeout": timeout,
        "ssl": ssl.create_default_context() if parsed.options.get("tls") == "verify" else False,
        "target_session_attrs": "read-write",
        "server_settings": {"search_path": schema_of(parsed), "application_name": "plaudit"},
    }


def schema_of(parsed: EngineUrl) -> str:
    """The schema of the tables in the database."""
    return parsed.options.get("schema", "plaudit")


@asynccontextmanager
async def connected(parsed: EngineUrl, timeout: float) -> AsyncIterator[Any]:
    """One connection; raises CannotUse where there is none to be had."""
    with cannot_use(parsed):
        connection = await asyncpg.connect(**connect_arguments(parsed, timeout))
    try:
        version = connection.get_server_version().major
        if version < _MIN_VERSION:
            raise CannotUse(f"{parsed} is PostgreSQL {version}; it takes {_MIN_VERSION} or newer")
        yield connection
    finally:
        await connection.close(timeout=timeout)


@contextmanager
def cannot_use(parsed: EngineUrl) -> Iterator[None]:
    """Raises CannotReach and CannotUse for errors of the server within the block."""
    try:
        yield
    except UNREACHABLE as error:
        raise CannotReach(f"{parsed} cannot be reached: {error or type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        raise CannotUse(f"{parsed} cannot be used: {error}") from error
