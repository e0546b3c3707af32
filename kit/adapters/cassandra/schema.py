"""Schemas of Cassandra keyspaces: numbered files of statements, applied once each and in order."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from cassandra import DriverException, OperationTimedOut, Timeout, Unavailable
from cassandra.cluster import NoHostAvailable

from kit.adapters.cassandra.session import connect, one_line, parse_cassandra
from kit.adapters.schema_files import SchemaFiles
from kit.engine_url import CannotUse

_ADD = re.compile(r"ALTER TABLE (\w+) ADD (\w+) ")
_COMMENT = re.compile(r"(?:--|//)[^\n]*")
_RECORDS = (
    "CREATE TABLE IF NOT EXISTS schema_migration"
    " (component text, number int, file text, PRIMARY KEY ((component), number))"
)
_SECONDS = 20.0  # changes of a schema are slow
_RETRY_SECONDS, _PAUSE_SECONDS = 40.0, 0.5
_APPLIED = "SELECT component, number FROM schema_migration"
_Execute = Callable[[str], Awaitable[list[Any]]]


class Schema(SchemaFiles):
    """The tables of one component in a keyspace."""

    __slots__ = ()
    suffix = ".cql"


def statements(text: str) -> list[str]:
    """The statements of a file, without comments; text in quotes has neither `;` nor comment signs."""
    parts = (" ".join(part.split()) for part in _COMMENT.sub("", text).split(";"))
    return [part for part in parts if part]


async def missing(execute: _Execute, schemas: Sequence[Schema]) -> list[tuple[Schema, int, Path]]:
    """The files that are not applied yet, in order. Raises CannotUse where a schema is newer than its files."""
    applied: dict[str, set[int]] = {}
    for component, number in await execute(_APPLIED):
        applied.setdefault(component, set()).add(number)
    wanted: list[tuple[Schema, int, Path]] = []
    for schema in schemas:
        files = schema.files()
        done = applied.get(schema.component, set())
        if max(done, default=0) > len(files):
            raise CannotUse(
                f"the keyspace has schema {max(done)} of {schema.component}, this program knows {len(files)}:"
                " start the newer program"
            )
        wanted += [(schema, number, path) for number, path in files.items() if number not in done]
    return wanted


async def check_schemas(execute: _Execute, keyspace: str, schemas: Sequence[Schema]) -> None:
    """Raises CannotUse unless the keyspace has exactly these schemas."""
    if not schemas:
        return
    if not await _has_records(execute, keyspace):
        raise CannotUse("the keyspace has no schema: run plaudit migrate")
    wanted = await missing(execute, schemas)
    if wanted:
        names = ", ".join(f"{schema.component}/{path.name}" for schema, _, path in wanted)
        raise CannotUse(f"the keyspace lacks {names}: run plaudit migrate")


async def _apply(execute: _Execute, keyspace: str, schemas: Sequence[Schema], *, check: bool) -> list[str]:
    """Applies the missing files and returns their names; `check`: only returns them.

    A file that failed in the middle is applied again from its start, so statements have IF NOT EXISTS. ScyllaDB does
    not know that for columns: those that exist are left out here.
    """
    if not check:
        await execute(_RECORDS)
    elif not await _has_records(execute, keyspace):
        return [f"{schema.component}/{path.name}" for schema in schemas for path in schema.files().values()]
    done: list[str] = []
    for schema, number, path in await missing(execute, schemas):
        if not check:
            for statement in statements(path.read_text(encoding="utf-8")):
                if not await _is_column_added(execute, keyspace, statement):
                    await execute(statement)
            await execute(
                f"INSERT INTO schema_migration (component, number, file) VALUES"
                f" ('{schema.component}', {number}, '{path.name}')"
            )
        done.append(f"{schema.component}/{path.name}")
    return done


async def migrate(url: str, schemas: Sequence[Schema], *, check: bool = False) -> list[str]:
    """Creates the missing keyspace and tables; returns the names of the applied files. `check`: only returns them.

    The option `replication` of the URL says how many copies of each row there are, 1 where it is not given, in the
    data centre `dc` if that is given. Raises CannotUse.
    """
    parsed = parse_cassandra(url)
    replication = parsed.whole("replication", 1)
    cluster, session = await connect(parsed, _SECONDS, None)

    async def execute(cql: str) -> list[Any]:
        # Servers send requests to a node that has just died until they detect it. All these statements are idempotent.
        until = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                return list(await asyncio.to_thread(session.execute, cql, timeout=_SECONDS))
            except (OperationTimedOut, Timeout, Unavailable):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    try:
        found = await execute(
            f"SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '{parsed.name}'"
        )
        if check and not found:
            return [f"keyspace {parsed.name}"] + [
                f"{schema.component}/{path.name}" for schema in schemas for path in schema.files().values()
            ]
        if not found:
            dc = parsed.options.get("dc")
            copies = f"'NetworkTopologyStrategy', '{dc}'" if dc else "'SimpleStrategy', 'replication_factor'"
            await execute(
                f"CREATE KEYSPACE IF NOT EXISTS {parsed.name} WITH replication = {{'class': {copies}: {replication}}}"
            )
        await execute(f"USE {parsed.name}")
        return await _apply(execute, parsed.name, schemas, check=check)
    except DriverException as error:
        raise CannotUse(f"{parsed} cannot be migrated: {one_line(error)}") from error
    except NoHostAvailable as error:
        raise CannotUse(f"{parsed} cannot be migrated: {one_line(error)}") from error
    finally:
        await asyncio.to_thread(cluster.shutdown)


async def _is_column_added(execute: _Execute, keyspace: str, statement: str) -> bool:
    """Whether a statement adds a column that exists."""
    added = _ADD.match(statement)
    if added is None:
        return False
    table, column = added.groups()
    return bool(
        await execute(
            "SELECT column_name FROM system_schema.columns"
            f" WHERE keyspace_name = '{keyspace}' AND table_name = '{table}' AND column_name = '{column}'"
        )
    )


async def _has_records(execute: _Execute, keyspace: str) -> bool:
    return bool(
        await execute(
            "SELECT table_name FROM system_schema.tables"
            f" WHERE keyspace_name = '{keyspace}' AND table_name = 'schema_migration'"
        )
    )
