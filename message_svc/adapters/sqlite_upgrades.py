"""Upgrades of the tables of conversations that an older version made in a SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import apsw


def _add_deleted_by(connection: apsw.Connection) -> None:
    connection.execute("ALTER TABLE item ADD COLUMN deleted_by INTEGER NOT NULL DEFAULT 0")


def _index_former_members(connection: apsw.Connection) -> None:
    connection.execute("CREATE INDEX member_former ON member (user) WHERE role = 0")


def _add_member_state(connection: apsw.Connection) -> None:
    for table, column in (
        ("conversation", "pinned_messages TEXT NOT NULL DEFAULT ''"),
        ("member", "archived_seq INTEGER NOT NULL DEFAULT 0"),
        ("member", "marked_unread INTEGER NOT NULL DEFAULT 0"),
        ("member", "draft_ms INTEGER NOT NULL DEFAULT 0"),
        ("item", "forwards INTEGER NOT NULL DEFAULT 0"),
    ):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    connection.execute(
        "CREATE TABLE draft (user TEXT NOT NULL, conversation INTEGER NOT NULL, content TEXT NOT NULL,"
        " time_ms INTEGER NOT NULL, PRIMARY KEY (user, conversation)) WITHOUT ROWID"
    )


def _add_retention(connection: apsw.Connection) -> None:
    for column in ("retention_seconds", "hidden_ordinal", "purged_before", "retention_due_ms"):
        connection.execute(f"ALTER TABLE conversation ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "CREATE INDEX conversation_retention_due ON conversation (retention_due_ms) WHERE retention_due_ms > 0"
    )


def _add_close_ms(connection: apsw.Connection) -> None:
    connection.execute("ALTER TABLE conversation ADD COLUMN close_ms INTEGER NOT NULL DEFAULT 0")


UPGRADES: Mapping[int, Callable[[apsw.Connection], None]] = {
    1: _add_deleted_by,
    2: _index_former_members,
    3: _add_member_state,
    4: _add_retention,
    5: _add_close_ms,
}
"""See `kit.adapters.sqlite.file.adopt_schema`."""
