"""Makes today's tables of reactions of those that older versions of this program wrote."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import apsw
import msgspec

from kit.ledger.opids import Watermark, place_of

_pack = msgspec.msgpack.Encoder().encode
# When operations that changed nothing were made: the version they were answered with is older than they are.
_MADE = "CREATE TABLE IF NOT EXISTS op_late (target INTEGER NOT NULL, op_id TEXT NOT NULL, made INTEGER NOT NULL)"


def answers_of_operations(connection: apsw.Connection) -> None:
    """From version 1, which kept a row for each operation and had no ledger.

    Records and counts stay. Answers are packed; the old event log is dropped, for whoever read it reads counts now.
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
    rows = [((*row[:6], bool(row[6]), row[7]), row[8]) for row in found]
    rows.sort(key=lambda row: place_of(row[0][:2], row[0][2]))
    for (slice_, part), group in groupby(rows, key=lambda row: place_of(row[0][:2], row[0][2])):
        some = list(group)
        # Timed ids tell their age themselves; no entry has the stamp 0, so none replaces what stands here.
        stamp = 0 if slice_ >= 0 else max(made for _, made in some)
        packed = _pack([row for row, _ in some])
        connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", (slice_, part, stamp, packed))
    used: dict[tuple[str, str], Watermark] = {}
    for (tenant, name, op_id, *_), made in rows:
        used[tenant, name] = used.get((tenant, name), Watermark()).with_all([op_id], made)
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
