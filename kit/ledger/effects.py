"""What a shard wants done: each is done by whatever drives the shard, which tells it the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.ledger.entry import Entry
from kit.ledger.ports import Watermarks


class ReadMarks(NamedTuple):
    """Result: `Watermarks`. `why` tells the shard what it asked for."""

    why: str


class Read(NamedTuple):
    """Result: the `Page` of entries behind `after`. `why` tells the shard what it asked for."""

    after: int
    limit: int
    why: str


class Tail(NamedTuple):
    """Result: the last position; `confirm`: linearizable."""

    confirm: bool


class Load(NamedTuple):
    """Result: what `Tables.load` found. `base`: the tables had the entries up to it when this was asked for."""

    need: Any
    base: int


class Append(NamedTuple):
    """Result: whether it was committed; raises Unavailable, or OutcomeUnknown. `writes`: of an atomic store."""

    entry: Entry
    writes: Any


class WriteTables(NamedTuple):
    """Result: None, once everything up to `through` is written."""

    writes: Any
    through: int


class Publish(NamedTuple):
    """Result: None, once the entries are on the event log."""

    entries: Sequence[Entry]


class SaveMarks(NamedTuple):
    """Result: None."""

    marks: Watermarks


class Trim(NamedTuple):
    """Result: None, once the entries below `before` are gone."""

    before: int


Effect = ReadMarks | Read | Tail | Load | Append | WriteTables | Publish | SaveMarks | Trim
