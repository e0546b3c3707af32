"""Forgets old operations of the SQLite store, a slice at a time."""

from __future__ import annotations

from typing import Any

import apsw

from reaction_svc.adapters.sqlite_step import SQL

_SLICE = 1_000  # operations looked at in one transaction: some milliseconds
_END = ("\x7f", 0)  # behind every op_id


class Sweep:
    """Walks over all operations in key order, again and again."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._at: Any = ("", 0)

    def slice(self, before: int) -> int:
        """Forgets what `ports.ReactionStore.forget` allows in the next slice, within the open transaction."""
        after = self._at
        last = self._connection.execute(SQL["ops_behind"], (*after, _SLICE - 1)).fetchone()
        until = last or _END
        bindings = {
            "op_id": after[0],
            "target": after[1],
            "last_op_id": until[0],
            "last_target": until[1],
            "before": before,
        }
        self._connection.execute(SQL["forget_ops"], bindings)
        forgotten = self._connection.changes()
        self._connection.execute(SQL["forget_late"], bindings)
        self._at = last or ("", 0)
        return forgotten
