"""Appends of records that wait for the writer of a SQLite file; those that wait together are committed together."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from kit.adapters.sqlite.file import immediate

_APPEND = "INSERT INTO event_log (topic, key, payload) VALUES (?, ?, ?)"


class PendingAppend:
    """A record that is to be appended. Once it was tried, it has a position or an error."""

    __slots__ = ("error", "position", "values")

    def __init__(self, topic: str, key: str, payload: bytes) -> None:
        self.values = (topic, key, payload)
        self.position = 0
        self.error: apsw.Error | None = None

    @property
    def is_tried(self) -> bool:
        """Whether it was part of a commit, whatever the outcome."""
        return self.position > 0 or self.error is not None


def commit_appends(connection: apsw.Connection, appends: Sequence[PendingAppend]) -> None:
    """Appends the records in order, in one transaction: all of them, or none. Never raises `apsw.Error`."""
    positions: list[int] = []
    try:
        with immediate(connection):
            for append in appends:
                connection.execute(_APPEND, append.values)
                positions.append(connection.last_insert_rowid())
    except apsw.Error as error:
        for append in appends:
            append.error = error
    else:
        for append, position in zip(appends, positions, strict=True):
            append.position = position
