"""What the room needs from outside: a place for counts, and the records they are derived from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from counter_svc.domain import Key, Totals


class CountStore(Protocol):
    """Keeps counts and the log position they are folded to.

    Everything in it can be rebuilt from the records, so a save may be lost in a crash of the machine - but only whole:
    counts and position always belong together.
    """

    async def position(self) -> int:
        """The position of the last save; 0 before the first."""
        ...

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The saved counts of those targets that have any; sees every save that has returned."""
        ...

    async def save(self, totals: Mapping[Key, Totals], position: int) -> None:
        """Saves counts and position in one step; counts of other targets stay."""
        ...

    async def keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """Up to `limit` saved targets in key order, from the first one behind `after`; None: from the start."""
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
