"""What the counter needs from outside: the reaction service, counts that nodes share, and the other counters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from counter_svc.domain import Key, Recounted, Totals


class SharedCounts(Protocol):
    """Counts for all nodes to read, a moment behind the log. May be emptied, or lost in part, at any time.

    All methods take any number of targets, and raise `kit.errors.Unavailable` or `OutcomeUnknown` while the engine
    cannot be reached; then they may be done in part, and repeating them is harmless.
    """

    async def put(self, values: Mapping[Key, Totals], corrected: Collection[Key] = ()) -> None:
        """Puts counts where they are newer, in one step for each target; those of `corrected` targets always."""
        ...

    async def restore(self, values: Mapping[Key, Totals]) -> None:
        """As `put`, for counts that another node may know better: they are kept for a minute."""
        ...

    async def get(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The counts of those targets that are there."""
        ...


class Records(Protocol):
    """The reaction service, which decides the counts and keeps the records they are counts of.

    Both raise `errors.RecordsUnreachable` where there is no answer.
    """

    async def heads(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The counts of all these targets as the last acked change left them; version 0 for one without any."""
        ...

    async def tally(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """As `heads`, for up to 1,000 targets, counted from the records themselves, independently of any head."""
        ...

    async def tally_all(self, page_token: str) -> tuple[Sequence[Key], str]:
        """A page of all targets of all tenants that have records, and the next page's token; "" starts, "" ends."""
        ...


class Peers(Protocol):
    """The other counters, which follow the other partitions."""

    async def rebuild(self, partitions: Collection[int], keys: Sequence[Key] | None) -> Recounted:
        """Has those of these targets recounted that are in some partitions (None: all).

        Raises `errors.Moved` where a node does not answer, or does not follow a partition any more; then it may be done
        in part.
        """
        ...
