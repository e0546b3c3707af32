"""The history of a run: requests, answers and pushes of all clients, recorded outside the processes under test."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import msgspec

Kind = Literal["invoke", "ok", "fail", "unknown", "push", "session", "mark"]
LIMIT = 1_000_000
_FIELDS = (
    "time", "process", "kind", "what", "op_id", "args", "result", "connection", "position",
)  # fmt: skip


class Event(NamedTuple):
    """One line of a history. `time` is in seconds of the one monotonic clock of the machine.

    kind     what                          args                                      result
    invoke   change, counts, own           the request                               -
    ok       the same                      -                                         the answer
    fail     the same                      -                                         code and reason; nothing was done
    unknown  the same                      -                                         code and reason; may have been done
    push     reaction_update, own_…        -                                         the frame
    session  connect, welcome, resumed,    tenant, user, device, gateway, topics     verdict, code, …
             subscribed, closed
    mark     fault, healed, quiet, …       -                                         -

    `position` numbers the attempts of one operation on one connection, and the pushes of one connection.
    """

    time: float
    process: str
    kind: Kind
    what: str
    op_id: str = ""
    args: Mapping[str, Any] = {}
    result: Mapping[str, Any] = {}
    connection: str = ""
    position: int = 0


class HistoryTooLong(Exception):
    """The history has reached its limit."""


class Recorder:
    """Records a history in memory, and as JSON lines in a file if a path is given."""

    def __init__(self, path: Path | None = None, limit: int = LIMIT) -> None:
        self.events: list[Event] = []
        self._limit = limit
        self._file: BinaryIO | None = path.open("wb") if path is not None else None

    def write(
        self,
        process: str,
        kind: Kind,
        what: str,
        *,
        op_id: str = "",
        args: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
        connection: str = "",
        position: int = 0,
    ) -> None:
        """Adds an event with the current time; raises HistoryTooLong."""
        if len(self.events) >= self._limit:
            raise HistoryTooLong(f"{self._limit} lines")
        event = Event(time.monotonic(), process, kind, what, op_id, args or {}, result or {}, connection, position)
        self.events.append(event)
        if self._file is not None:
            self._file.write(line(event))

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


def line(event: Event) -> bytes:
    """An event as a line of JSON."""
    return msgspec.json.encode(dict(zip(_FIELDS, event, strict=True))) + b"\n"


def read(lines: Iterable[bytes]) -> list[Event]:
    """The events of a file."""
    return [Event(**msgspec.json.decode(one)) for one in lines]
