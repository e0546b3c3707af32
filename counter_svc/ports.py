"""What the counter needs from outside: reaction_svc, counts that nodes share, and the other counter nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from counter_svc.domain import Recounted, Totals
from kit.tenant_keys import TargetKey


class SharedCounts(Protocol):
    """Counts that all nodes read; they lag the log a little. May lose data at any time.

    All methods take any number of targets, and raise `kit.errors.Unavailable` or `OutcomeUnknown` while the engine
    cannot be reached; a part may then be done, and repeating is harmless.
    """

    async def put(self, values: Mapping[TargetKey, Totals], corrected: Collection[TargetKey] = ()) -> None:
        """Writes counts where they are newer, atomically for each target; those of `corrected` targets always."""
        ...

    async def restore(self, values: Mapping[TargetKey, Totals]) -> None:
        """As `put`, for counts of which another node may have newer ones: they are kept for a minute."""
        ...

    async def get(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """The counts of the targets that are in the store."""
        ...


class Records(Protocol):
    """reaction_svc, which decides the counts and keeps the records.

    All methods raise `errors.RecordsUnreachable` where there is no answer.
    """

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """The counts of targets after the last acked change; version 0 where there was none."""
        ...

    async def tally(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """As `heads`, for up to 1,000 targets, counted from the records themselves, independently of any head."""
        ...

    async def tally_all(self, page_token: str) -> tuple[Sequence[TargetKey], str]:
        """A page of all targets of all tenants that have records, and the next page's token; "" starts, "" ends."""
        ...


class Peers(Protocol):
    """The other counter nodes, which have the other partitions."""

    async def rebuild(self, partitions: Collection[int], keys: Sequence[TargetKey] | None) -> Recounted:
        """Recounts targets (None: all) of partitions.

        Raises `errors.Moved` where a node does not answer, or does not have a partition any more; a part may then be
        done.
        """
        ...
