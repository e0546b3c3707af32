"""Upgrades the tables of reactions that older versions of this program wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import apsw
import msgspec

from kit.ledger.op_ids import AnswerLocation, OpIdWatermark, location_of
from reaction_svc.domain import OperationRow

_pack = msgspec.msgpack.Encoder().encode
# The time of operations that changed nothing: the version of their answer is older than they are.
_MADE = "CREATE TABLE IF NOT EXISTS op_late (target INTEGER NOT NULL, op_id TEXT NOT NULL, made INTEGER NOT NULL)"


def answers_of_operations(connection: apsw.Connection) -> None:
    """From version 1, which stored a row for each operation and had no ledger.

    Records and counts stay. Answers are packed. The old event log is dropped: its consumers read counts now.
    """
    for column in (
        "stamp INTEGER NOT NULL DEFAULT 0",
        "highest TEXT NOT NULL DEFAULT ''",
        "ahead TEXT NOT NULL DEFAULT ''",
    ):
        connection.execute(f"ALTER TABLE target ADD COLUMN {column}")
    connection.execute(
        "CREATE TABLE answer (slice INTEGER NOT NULL, part INTEGER NOT NULL, stamp INTEGER NOT NULL,"
        " rows BLOB NOT NULL, PRIMARY KEY (slice, part, stamp)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX answer_untimed ON answer (stamp) WHERE slice < 0")
    connection.execute(_MADE)  # the first files have no such table
    found: list[Any] = connection.execute(
        "SELECT target.tenant, target.name, op_id, user, emoji, action, held, op.version, coalesce(made, op.version)"
        " FROM op JOIN target ON target.id = op.target LEFT JOIN op_late USING (target, op_id)"
    ).fetchall()
    places: dict[AnswerLocation, list[tuple[str, str, OperationRow]]] = {}
    stamps: dict[AnswerLocation, int] = {}
    used: dict[tuple[str, str], OpIdWatermark] = {}
    for tenant, name, op_id, user, emoji, action, held, version, made in found:
        place = location_of((tenant, name), op_id)
        places.setdefault(place, []).append(
            (tenant, name, OperationRow(user, "", "", version, op_id, emoji, action, bool(held)))
        )
        # Timed ids contain their age; no entry has the stamp 0, so none replaces this row.
        stamps[place] = 0 if place.slice >= 0 else max(made, stamps.get(place, 0))
        used[tenant, name] = used.get((tenant, name), OpIdWatermark()).with_all([op_id], made)
    for place, rows in places.items():
        packed = _pack([(tenant, name, [row]) for tenant, name, row in rows])
        connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", (*place, stamps[place], packed))
    for key, mark in used.items():
        connection.execute(
            "UPDATE target SET highest = ?, ahead = ? WHERE tenant = ? AND name = ?",
            (mark.highest, " ".join(sorted(mark.ahead)), *key),
        )
    connection.execute("UPDATE target SET stamp = version")
    connection.execute("DROP TABLE op")
    connection.execute("DROP TABLE op_late")
    connection.execute("DELETE FROM plaudit_schema WHERE component = 'reaction_svc late operations'")
    connection.execute("DELETE FROM event_log WHERE topic = 'reactions'")


def records_by_user(connection: apsw.Connection) -> None:
    """From version 2, which had no index of records by user."""
    connection.execute("CREATE INDEX record_user ON record (user)")


UPGRADES: Mapping[int, Callable[[apsw.Connection], None]] = {1: answers_of_operations, 2: records_by_user}
"""The upgrade from version n to n + 1."""
