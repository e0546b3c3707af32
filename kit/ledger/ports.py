"""What a ledger needs: a store of entries, tables behind them, the event log; and the rules of its service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from kit.ledger.entry import Entry


class Watermarks(NamedTuple):
    """`applied`: every entry up to it has its tables written. `published`: every entry up to it is on the event log."""

    applied: int = 0
    published: int = 0


class Page(NamedTuple):
    """Entries in order of position, and the last position of the shard, both of one moment."""

    entries: Sequence[Entry]
    tail: int


class LedgerStore(Protocol):
    """Keeps the entries of all shards of one ledger. The conditional `commit` is the only arbiter of their order.

    Methods raise `kit.errors.Unavailable` where surely nothing was done, and those that write
    `kit.errors.OutcomeUnknown` where that cannot be said: every error after a statement was sent is unknown. Nothing is
    retried inside.
    """

    @property
    def incarnation(self) -> str:
        """Tells this ledger from one that was restored from a backup."""
        ...

    @property
    def is_atomic(self) -> bool:
        """Whether `commit` writes the tables in the same step, and the entries are the event log themselves."""
        ...

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        """Makes the entry durable at its position if the shard's last position is the one before.

        True: it is durable and visible to every later `read`. False: the condition did not hold, which says nothing
        about an earlier attempt of the same append. `writes` are for the tables where `is_atomic`, else None.
        """
        ...

    async def read(self, shard: int, after: int, limit: int) -> Page:
        """Up to `limit` entries from the first one behind the position `after` on, and the last position.

        Linearizable: what a commit has answered is seen, and an append still under way is finished or ended.
        """
        ...

    async def tail(self, shard: int, *, confirm: bool) -> int:
        """The last position; 0 where there was none. Linearizable where `confirm`, otherwise it may be a little old."""
        ...

    async def watermarks(self, shard: int) -> Watermarks:
        """The watermarks as they were saved; zeros before the first time."""
        ...

    async def save_watermarks(self, shard: int, marks: Watermarks) -> None:
        """Saves watermarks; each only grows, whoever saves last."""
        ...

    async def trim(self, shard: int, before: int) -> None:
        """Forgets the entries at positions below `before`, which is not above the last one. Repeating is harmless."""
        ...


class Tables(Protocol):
    """What the entries of a service lead to, in tables: read to decide, written behind the entries.

    Raise `kit.errors.Unavailable` or `OutcomeUnknown`. Writing again, or late, changes nothing.
    """

    async def load(self, shard: int, need: Any) -> Any:
        """What `Model.need` asked for, as it stands in the tables; sees every write that has returned."""
        ...

    async def write(self, shard: int, writes: Any) -> None:
        """Writes what `Model.writes` made of entries, each row with the stamp of its entry as its timestamp."""
        ...


class Feed(Protocol):
    """The event log, for one ledger."""

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        """Appends entries in order; returns when all are durable there. Raises Unavailable or OutcomeUnknown."""
        ...


class Sizer(Protocol):
    """How large one entry can become."""

    def add(self, commands: Sequence[Any]) -> int:
        """The bytes that it takes at most with these commands behind those that were added before."""
        ...


class Decision(Protocol):
    """What a model decided about commands; changes nothing until it is given to `Model.committed`."""

    @property
    def answers(self) -> Sequence[Any]:
        """One for each command, in order."""
        ...

    @property
    def payload(self) -> bytes | None:
        """What the entry carries; None where there is nothing to remember."""
        ...

    @property
    def stamp(self) -> int:
        """The stamp of the entry, above the one before it and those of all keys it touches."""
        ...

    @property
    def is_certain(self) -> bool:
        """Whether all answers are those stored with known operation ids, true whatever has happened since."""
        ...


class Model(Protocol):
    """The state of one shard in memory, and the rules of the service. Pure: no I/O, no clock, no randomness.

    Commands and answers are the service's own.

    The state of a key is what the tables say, overlaid with the entries since then, in order.
    """

    def need(self, commands: Sequence[Any]) -> Any | None:
        """What has to be loaded before these commands can be decided; None: nothing."""
        ...

    def loaded(self, need: Any, found: Any) -> None:
        """Takes in what was loaded for `need`, overlaid with the entries it keeps."""
        ...

    def decide(self, commands: Sequence[Any], now: int, last_stamp: int) -> Decision:
        """Decides the commands in order, at `now` (microseconds), behind an entry with `last_stamp`."""
        ...

    def sizer(self) -> Sizer:
        """Bounds the size of an entry before its commands are decided."""
        ...

    def committed(self, position: int, decision: Any) -> None:
        """The decision is the entry at this position: from now on it is part of the state."""
        ...

    def replay(self, entry: Entry) -> None:
        """Applies an entry that was decided elsewhere, never deciding again.

        Raises `kit.ledger.errors.NewerFormat` or `CorruptEntry`.
        """
        ...

    def writes(self, after: int, through: int) -> Any:
        """What the entries behind `after` up to `through` lead to in the tables: the last state of each row."""
        ...

    def writes_of(self, decision: Any) -> Any:
        """The same for a decision that is not committed yet."""
        ...

    def release(self, through: int) -> None:
        """The entries up to this position need no longer be kept: whatever is loaded from now on has them."""
        ...

    def view(self, commands: Sequence[Any]) -> Any:
        """What callers are told beside the answers to their commands, as of the moment they are given."""
        ...

    def clear(self) -> None:
        """Forgets everything."""
        ...
