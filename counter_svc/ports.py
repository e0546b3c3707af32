"""What the room needs from outside: places for counts, the records they are derived from, and its like elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from counter_svc.domain import Key, Rebuilt, Totals


class CountStore(Protocol):
    """Keeps the counts of one partition of the log, and the position in it that they are folded to.

    Everything in it can be rebuilt from the records, so a save may be lost in a crash of the machine. But counts are
    never behind the position saved with them; they may be ahead of it, where a save broke off. All methods raise
    `kit.errors.Unavailable` or `OutcomeUnknown` while the engine cannot be reached.
    """

    async def position(self) -> int:
        """The position of the last save; 0 before the first."""
        ...

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The saved counts of those targets that have any; sees every save that has returned."""
        ...

    async def save(self, totals: Mapping[Key, Totals], position: int, corrected: Collection[Key] = ()) -> None:
        """Saves counts, and after them the position; counts of other targets stay.

        Counts that are saved at a higher version stay too, except those of `corrected` targets. So saving again is
        harmless, and so is another node that still saves what it has folded. A save that failed may be done in part.
        """
        ...

    async def keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """Up to `limit` saved targets behind `after`, in an order that stays the same; None: from the start."""
        ...


class CountStores(Protocol):
    """The stores of all partitions, which every node of the room reaches."""

    def of(self, partition: int) -> CountStore:
        """The store of a partition."""
        ...


class SharedCounts(Protocol):
    """Counts for all nodes to read, a moment behind the fold. May be emptied, or lost in part, at any time.

    All methods raise `kit.errors.Unavailable` or `OutcomeUnknown` while the engine cannot be reached.
    """

    async def put(self, totals: Mapping[Key, Totals], corrected: Collection[Key] = ()) -> str:
        """Puts the counts of up to 1,000 targets where they are newer, in one step each; `corrected` ones always.

        Returns a text that is another one after everything was lost; may be called with nothing to find it out.
        """
        ...

    async def restore(self, totals: Mapping[Key, Totals]) -> None:
        """As `put`, for counts that nobody vouches for to be the last: they are kept for a minute."""
        ...

    async def get(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The counts of those targets that are there."""
        ...


class Records(Protocol):
    """Counts the records themselves: the truth.

    Each answer holds a change as soon as the change was acked or is on the log. Raises
    `errors.RecordsUnreachable` where there is no answer.
    """

    async def tally(self, keys: Sequence[Key]) -> Sequence[Totals]:
        """The counts of up to 1,000 targets, in order; version 0 for a target nobody ever reacted to."""
        ...

    async def tally_all(self, page_token: str) -> tuple[Sequence[tuple[Key, Totals]], str]:
        """A page of all targets of all tenants, and the token of the next page; "" starts, "" ends."""
        ...


class Peers(Protocol):
    """The nodes of this room that fold the other partitions."""

    async def rebuild(self, partitions: Collection[int], keys: Sequence[Key] | None) -> tuple[Collection[int], Rebuilt]:
        """Has these targets of some partitions (None: all) counted anew; returns the partitions this was done for.

        The others are changing hands. Raises `kit.errors.Unavailable`.
        """
        ...
