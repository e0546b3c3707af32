"""Keyspaces of Cassandra for all tests of a file: to make tables costs seconds, to empty them less."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from kit.adapters.cassandra.engine import open_cassandra
from kit.adapters.cassandra.schema import Schema, migrate
from tests.engines import Engines


@contextmanager
def keyspace_with(engines: Engines, *schemas: Schema) -> Iterator[str]:
    """The URL of a new keyspace with these tables, for the block."""
    url = engines.cassandra()
    asyncio.run(migrate(url, schemas))
    yield url
    asyncio.run(execute(url, f"DROP KEYSPACE {url.rpartition('/')[2]}"))


async def execute(url: str, *statements: str) -> None:
    """Executes statements, all at once."""
    async with open_cassandra(url, timeout=20.0) as session:
        await asyncio.gather(*map(session.execute, statements))
