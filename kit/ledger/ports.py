"""The ports of a ledger: the store of entries, the tables, the event log, and the model of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from kit.ledger.entry import Entry


class Watermarks(NamedTuple):
    """`applied`: the tables of all entries up to it are written. `published`: entries are on the event log up to it."""

    applied: int = 0
    published: int = 0


class Page(NamedTuple):
    """Entries in order of position, and the last position of the shard at the same moment."""

    entries: Sequence[Entry]
    tail: int


class LedgerStore(Protocol):
    """Stores the entries of all shards of one ledger. The conditional `commit` alone decides their order.

    Methods raise `kit.errors.Unavailable` where definitely nothing was done. Methods that write raise
    `kit.errors.OutcomeUnknown` for every error after a statement was sent. No method retries.
    """

    @property
    def incarnation(self) -> str:
        """Identifies this ledger: one restored from a backup has another incarnation."""
        ...

    @property
    def is_atomic(self) -> bool:
        """Whether `commit` writes the tables in the same step, and the entries are the event log themselves."""
        ...

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        """Makes the entry durable at its position if the shard's last position is the one before.

        True: it is durable and visible to every later `read`. False: the condition did not hold, which says nothing
        about an earlier attempt of the same append. `writes`: the table writes where `is_atomic`, else None.
        """
        ...

    async def read(self, shard: int, after: int, limit: int) -> Page:
        """Up to `limit` entries after the position `after`, and the last position.

        Linearizable: it includes every commit that was answered, and ends or completes an append in flight.
        """
        ...

    async def tail(self, shard: int, *, confirm: bool) -> int:
        """The last position; 0 where there is no entry. Linearizable where `confirm`; otherwise it may be stale."""
        ...

    async def watermarks(self, shard: int) -> Watermarks:
        """The saved watermarks; zeros before the first save."""
        ...

    async def save_watermarks(self, shard: int, marks: Watermarks) -> None:
        """Saves watermarks. A lower value never overwrites a higher one."""
        ...

    async def trim(self, shard: int, before: int) -> None:
        """Deletes the entries below the position `before`, which is not above the last one. Idempotent."""
        ...


class Tables(Protocol):
    """The tables of a service: read for decisions, and written after the entries that they are derived from.

    Methods raise `kit.errors.Unavailable` or `OutcomeUnknown`. A repeated or late write changes nothing.
    """

    async def load(self, shard: int, need: Any) -> Any:
        """What `Model.find_missing` requested, from the tables; includes every write that has returned."""
        ...

    async def write(self, shard: int, writes: Any) -> None:
        """Writes the result of `Model.table_writes`; the timestamp of each row is the stamp of its entry."""
        ...


class LedgerEventLog(Protocol):
    """The event log of one ledger."""

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        """Appends entries in order; returns when all are durable. Raises Unavailable or OutcomeUnknown."""
        ...


class Sizer(Protocol):
    """Bounds the size of one entry."""

    def add(self, commands: Sequence[Any]) -> int:
        """Adds commands; returns the maximum size of the entry with all commands so far, in bytes."""
        ...


class Decision(Protocol):
    """The decision of a batch of commands. It changes nothing until `Model.commit`."""

    @property
    def answers(self) -> Sequence[Any]:
        """One for each command, in order."""
        ...

    @property
    def payload(self) -> bytes | None:
        """The payload of the entry; None where there is nothing to store."""
        ...

    @property
    def stamp(self) -> int:
        """The stamp of the entry, above the one before it and those of all keys it touches."""
        ...

    @property
    def is_certain(self) -> bool:
        """Whether all answers are stored ones of known operation ids, which no other entry can change."""
        ...


class Model(Protocol):
    """The state of one shard in memory, and the rules of the service. Pure: no I/O, no clock, no randomness.

    Commands and answers are the service's own.

    The state of a key is what the tables say, overlaid with the entries since then, in order.
    """

    def find_missing(self, commands: Sequence[Any]) -> Any | None:
        """What has to be loaded from the tables before these commands can be decided; None: nothing."""
        ...

    def add_loaded(self, need: Any, found: Any) -> None:
        """Adds what was loaded for `need`, overlaid with the pending entries."""
        ...

    def decide(self, commands: Sequence[Any], now: int, last_stamp: int) -> Decision:
        """Decides the commands in order, at `now` (microseconds), after an entry with `last_stamp`."""
        ...

    def sizer(self) -> Sizer:
        """A new sizer, for one entry."""
        ...

    def commit(self, position: int, decision: Any) -> None:
        """Makes a decision part of the state: it is the entry at this position."""
        ...

    def replay(self, entry: Entry) -> None:
        """Applies an entry that another node or process decided, without deciding again.

        Raises `kit.ledger.errors.NewerFormat` or `CorruptEntry`.
        """
        ...

    def table_writes(self, after: int, through: int) -> Any:
        """The table writes of the entries after `after` up to `through`: the last state of each row."""
        ...

    def decision_writes(self, decision: Any) -> Any:
        """The table writes of a decision that is not committed yet."""
        ...

    def release_entries(self, through: int) -> None:
        """Drops the pending entries up to this position: every later load includes them."""
        ...

    def view(self, commands: Sequence[Any]) -> Any:
        """What callers get in addition to the answers to these commands, as of now."""
        ...

    def clear(self) -> None:
        """Drops all state."""
        ...
