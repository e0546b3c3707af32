"""Schemas in PostgreSQL: numbered files of statements, each applied once, in order and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.adapters.postgres.connecting import cannot_use, connected, parse_postgres, schema_of
from kit.adapters.schema_files import SchemaFiles
from kit.engine_url import CannotUse

_SECONDS = 60.0  # a change of a schema may wait for others
_LOCK = 0x706C617564697431
"""The key of the lock that one migration holds: of several, one after the other."""


class Schema(SchemaFiles):
    """The tables of one component in a database."""

    __slots__ = ()
    suffix = ".sql"


async def check_schemas(connection: Any, schemas: Sequence[Schema]) -> None:
    """Raises CannotUse unless the database has exactly these schemas."""
    wanted = await _missing(connection, schemas)
    if wanted:
        names = ", ".join(f"{component}/{path.name}" for component, _, path in wanted)
        raise CannotUse(f"the database lacks {names}: run plaudit migrate")


async def migrate(url: str, schemas: Sequence[Schema], *, check: bool = False) -> list[str]:
    """Creates the missing tables; returns the names of the applied files. `check`: only returns them.

    Raises CannotUse.
    """
    parsed = parse_postgres(url)
    async with connected(parsed, _SECONDS) as connection:
        with cannot_use(parsed):
            if check:
                wanted = await _missing(connection, schemas)
                return [f"{component}/{path.name}" for component, _, path in wanted]
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema_of(parsed)}")
                await connection.execute(
                    "CREATE TABLE IF NOT EXISTS schema_migration"
                    " (component text, number integer, file text NOT NULL, PRIMARY KEY (component, number))"
                )
                wanted = await _missing(connection, schemas)
                for component, number, path in wanted:
                    await connection.execute(path.read_text(encoding="utf-8"))
                    await connection.execute(
                        "INSERT INTO schema_migration (component, number, file) VALUES ($1, $2, $3)",
                        component,
                        number,
                        path.name,
                    )
                return [f"{component}/{path.name}" for component, _, path in wanted]


async def _missing(connection: Any, schemas: Sequence[Schema]) -> list[tuple[str, int, Path]]:
    """The component, number and file of each file that is not applied yet; raises CannotUse for newer schemas."""
    applied: dict[str, int] = {}
    if await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL"):
        rows = await connection.fetch("SELECT component, max(number) FROM schema_migration GROUP BY component")
        applied = dict(map(tuple, rows))
    wanted: list[tuple[str, int, Path]] = []
    for schema in schemas:
        files, done = schema.files(), applied.get(schema.component, 0)
        if done > len(files):
            raise CannotUse(
                f"the database has schema {done} of {schema.component}, this program knows {len(files)}:"
                " start the newer program"
            )
        wanted += [(schema.component, number, path) for number, path in files.items() if number > done]
    return wanted
