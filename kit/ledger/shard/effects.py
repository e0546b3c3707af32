"""Effects: I/O that a shard requests. Its driver performs them and returns the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.ledger.entry import Entry
from kit.ledger.ports import Watermarks


class ReadWatermarks(NamedTuple):
    """Result: `Watermarks`. `why`: the purpose of the read."""

    why: str


class ReadEntries(NamedTuple):
    """Result: the `Page` of entries after the position `after`. `why`: the purpose of the read."""

    after: int
    limit: int
    why: str


class ReadTail(NamedTuple):
    """Result: the last position; `confirm`: linearizable."""

    confirm: bool


class LoadTables(NamedTuple):
    """Result: what `Tables.load` found. `base`: the position up to which the tables were written at the request."""

    need: Any
    base: int


class Append(NamedTuple):
    """Result: whether it was committed. `writes`: the table writes, for an atomic store; else None."""

    entry: Entry
    writes: Any


class WriteTables(NamedTuple):
    """Result: None, once everything up to `through` is written."""

    writes: Any
    through: int


class Publish(NamedTuple):
    """Result: None, once the entries are on the event log."""

    entries: Sequence[Entry]


class SaveWatermarks(NamedTuple):
    """Result: None."""

    marks: Watermarks


class Trim(NamedTuple):
    """Result: None, once the entries below `before` are deleted."""

    before: int


Effect = ReadWatermarks | ReadEntries | ReadTail | LoadTables | Append | WriteTables | Publish | SaveWatermarks | Trim
