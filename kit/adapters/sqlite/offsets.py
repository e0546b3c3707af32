"""The committed positions of readers in a SQLite file."""

from __future__ import annotations

from pathlib import Path

import apsw

from kit.adapters.sqlite.file import adopt_schema, immediate, scalar

SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("offsets.sql")
_READ = "SELECT position FROM consumer_offset WHERE consumer = ? AND topic = ?"
_SAVE = "INSERT OR REPLACE INTO consumer_offset VALUES (?, ?, ?)"


def adopt_offsets(connection: apsw.Connection) -> None:
    """Creates the table where it is missing; raises `kit.adapters.sqlite.file.NewerData`."""
    adopt_schema(connection, "consumer_offset", SCHEMA_VERSION, _SCHEMA)


def read_offset(connection: apsw.Connection, consumer: str, topic: str) -> int | None:
    """The committed position; None where there is none. Raises apsw.Error."""
    found: int | None = scalar(connection, _READ, (consumer, topic))
    return found


def save_offset(connection: apsw.Connection, consumer: str, topic: str, position: int) -> None:
    """Commits a position durably; raises apsw.Error."""
    with immediate(connection):
        connection.execute(_SAVE, (consumer, topic, position))
