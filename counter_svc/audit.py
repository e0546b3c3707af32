"""Compares counts with the records, and corrects them where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from counter_svc import metrics
from counter_svc.domain import PartitionCounts, Recounted, Totals
from counter_svc.ports import Records, SharedCounts
from kit.errors import OutcomeUnknown, Unavailable
from kit.target import partition_of
from kit.tenant_keys import TargetKey

log = structlog.get_logger()
_BATCH = 1_000
_ATTEMPTS = 5
_PAUSE = 0.05


class Audited(Protocol):
    """The counts of a partition, and how they are corrected."""

    number: int
    counts: PartitionCounts

    def correct(self, key: TargetKey, truth: Totals, seen: Totals | None) -> None:
        """Sets the counts of the records, unless memory has changed since `seen`, and replaces the shared counts."""
        ...

    async def share(self) -> None:
        """Shares corrections, where the store can be reached."""
        ...

    def catch_up(self, key: TargetKey, truth: Totals) -> None:
        """Sets newer counts of the records, and shares them."""
        ...


class Audit:
    """Compares memory and the shared counts with the records at equal versions.

    Counts with a version that the records do not have, even after several tries, are wrong too: this is the only place
    that lowers a version. Counts that lag the records have not drifted.
    """

    def __init__(self, records: Records, shared: SharedCounts | None, partitions: int) -> None:
        self._records = records
        self._shared = shared
        self._partitions = partitions

    async def recount(self, part: Audited, keys: Sequence[TargetKey], found_by: str = "rebuild") -> Recounted:
        """Compares these targets of a partition. Raises `RecordsUnreachable`; then repeating is harmless."""
        unique = list(dict.fromkeys(keys))
        drifted = 0
        for start in range(0, len(unique), _BATCH):
            drifted += await self._compare(part, unique[start : start + _BATCH])
        if drifted:
            await part.share()
        metrics.drifted(found_by, drifted)
        if drifted:
            log.error("counts had drifted from the records", targets=len(unique), drifted=drifted, found_by=found_by)
        return Recounted(len(unique), drifted)

    async def recount_all(self, parts: Sequence[Audited]) -> Recounted:
        """Compares all targets of some partitions: those that have records, and those in memory that have none."""
        by_number = {part.number: part for part in parts}
        in_memory = {part.number: set(part.counts) for part in parts}
        targets = drifted = 0
        token = ""
        while True:
            page, token = await self._records.tally_all(token)
            for number, keys in self._by_partition(page).items():
                if number in by_number:
                    in_memory[number].difference_update(keys)
                    done = await self.recount(by_number[number], keys)
                    targets, drifted = targets + done.targets, drifted + done.drifted
            if not token:
                break
        for number, keys_left in in_memory.items():
            # Targets that were added meanwhile have records by now, and are not counted twice.
            drifted += (await self.recount(by_number[number], list(keys_left))).drifted
        return Recounted(targets, drifted)

    async def _compare(self, part: Audited, left: Sequence[TargetKey]) -> int:
        drifted = 0
        for attempt in range(_ATTEMPTS):
            seen = {key: part.counts.peek(key) for key in left}
            shared = await self._read_shared(left)
            truths = await self._records.tally(left)
            again: list[TargetKey] = []
            for key in left:
                truth = truths[key]
                claims = [value for value in (seen[key], shared.get(key)) if value is not None]
                ahead = any(value.version > truth.version for value in claims)
                if ahead and attempt + 1 < _ATTEMPTS:
                    again.append(key)
                elif ahead or any(value.version == truth.version and value != truth for value in claims):
                    drifted += 1
                    part.correct(key, truth, seen[key])
                elif any(value.version < truth.version for value in claims):
                    part.catch_up(key, truth)
            left = again
            if not left:
                break
            await asyncio.sleep(_PAUSE)
        return drifted

    async def _read_shared(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        if self._shared is not None:
            with suppress(Unavailable, OutcomeUnknown):
                return await self._shared.get(keys)
        return {}

    def _by_partition(self, keys: Sequence[TargetKey]) -> dict[int, list[TargetKey]]:
        found: dict[int, list[TargetKey]] = {}
        for key in keys:
            found.setdefault(partition_of(*key, self._partitions), []).append(key)
        return found
