"""Upgrades of the tables of conversations that an older version made in a SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import apsw


def _add_deleted_by(connection: apsw.Connection) -> None:
    connection.execute("ALTER TABLE item ADD COLUMN deleted_by INTEGER NOT NULL DEFAULT 0")


def _index_former_members(connection: apsw.Connection) -> None:
    connection.execute("CREATE INDEX member_former ON member (user) WHERE role = 0")


UPGRADES: Mapping[int, Callable[[apsw.Connection], None]] = {1: _add_deleted_by, 2: _index_former_members}
"""See `kit.adapters.sqlite.file.adopt_schema`."""
