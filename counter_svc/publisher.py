"""Counts on their way to where the other nodes read them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from counter_svc import metrics
from counter_svc.counts import Counts
from counter_svc.domain import Key, Totals
from counter_svc.ports import SharedCounts
from kit.errors import OutcomeUnknown, Unavailable

CHUNK = 400
_LOOK_SECONDS = 1.0
_MOST = 1_000_000


class Publisher:
    """Puts what has changed into the shared counts, that of all partitions of this node together.

    What cannot be put now waits, by name: the counts are taken when they go. Where everything that was there is lost,
    all targets in memory go again; the others are read from what is saved, and come back with that.
    """

    def __init__(self, shared: SharedCounts, seconds: float, most: int = _MOST) -> None:
        """`most`: names that may wait; beyond that, all targets ever saved go once the others have gone."""
        self._shared = shared
        self._seconds = seconds
        self._most = most
        self._sources: list[Counts] = []
        self._waiting: dict[Key, Counts | Totals] = {}
        self._going: dict[Key, Counts | Totals] = {}
        self._corrected: set[Key] = set()
        self._sweeps: dict[Counts, None] = {}
        self._generation = ""
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        """How many targets wait, those on their way included."""
        return len(self._waiting.keys() | self._going.keys())

    def add(self, counts: Counts) -> None:
        """Publishes these counts from now on; what they start with was published by whoever saved it."""
        self._sources.append(counts)
        counts.published(counts.position)

    def note(self, counts: Counts, keys: Iterable[Key], corrected: Collection[Key] = ()) -> None:
        """Targets have changed; those `corrected` were published with wrong counts."""
        self._waiting.update(dict.fromkeys(keys, counts))
        self._corrected.update(corrected)
        if len(self._waiting) > self._most:
            self._sweeps.update(dict.fromkeys(self._sources))
            self._waiting = {key: source for key, source in self._waiting.items() if isinstance(source, Totals)}

    async def run(self) -> None:
        """Publishes all the while, until it is cancelled."""
        loop = asyncio.get_running_loop()
        looked = 0.0
        while True:
            await asyncio.sleep(self._seconds)
            if self._waiting or self._sweeps or loop.time() >= looked + _LOOK_SECONDS:
                looked = loop.time()
                try:
                    await self.flush()
                except (Unavailable, OutcomeUnknown):
                    metrics.FLUSH_FAILURES.inc()

    async def flush(self) -> None:
        """Publishes what waits. Raises Unavailable or OutcomeUnknown; then what is left waits on."""
        async with self._one_at_a_time:
            positions = {counts: counts.position for counts in self._sources}
            with metrics.FLUSH_SECONDS.time():
                lost = await self._flush()
                for counts in list(self._sweeps):
                    lost = await self._sweep(counts) or lost
                    self._sweeps.pop(counts, None)
            if not lost:
                for counts, position in positions.items():
                    counts.published(position)

    async def release(self, counts: Counts) -> None:
        """Publishes what waits of these counts for the last time; what cannot go now is kept as it stands."""
        try:
            await self.flush()
        except (Unavailable, OutcomeUnknown):
            metrics.FLUSH_FAILURES.inc()
        async with self._one_at_a_time:
            self._sources.remove(counts)
            self._sweeps.pop(counts, None)
            for key in [key for key, source in self._waiting.items() if source is counts]:
                value = counts.peek(key)
                if value is None:
                    del self._waiting[key]
                else:
                    self._waiting[key] = value

    async def _flush(self) -> bool:
        """Returns whether everything was lost, and waits again."""
        going = self._going = self._waiting
        self._waiting = {}
        corrected, self._corrected = self._corrected, set()
        lost = False
        try:
            while True:
                keys = list(islice(going, CHUNK))
                lost = await self._put(await _values(keys, going), corrected) or lost
                for key in keys:
                    del going[key]
                corrected.difference_update(keys)
                if not going:
                    return lost
        finally:
            self._waiting = going | self._waiting
            self._going = {}
            self._corrected |= corrected

    async def _sweep(self, counts: Counts) -> bool:
        lost = False
        names = iter(counts.keys())
        while keys := list(islice(names, CHUNK)):
            lost = await self._put(await _values(keys, dict.fromkeys(keys, counts)), ()) or lost
        after: Key | None = None
        while page := await counts.saved_keys(after, CHUNK):
            lost = await self._put(await _values(page, dict.fromkeys(page, counts)), ()) or lost
            after = page[-1]
        return lost

    async def _put(self, values: Mapping[Key, Totals], corrected: Collection[Key]) -> bool:
        """Returns whether everything was lost since the last time."""
        generation = await self._shared.put(values, [key for key in values if key in corrected])
        metrics.FLUSH_SIZE.observe(len(values))
        before, self._generation = self._generation, generation
        if before in ("", generation):
            return False
        metrics.SHARED_LOST.inc()
        for counts in self._sources:
            self.note(counts, counts.keys())
        return True


async def _values(keys: Sequence[Key], sources: Mapping[Key, Counts | Totals]) -> dict[Key, Totals]:
    found: dict[Key, Totals] = {}
    not_in_memory: dict[Counts, list[Key]] = {}
    for key in keys:
        source = sources[key]
        value = source if isinstance(source, Totals) else source.peek(key)
        if value is not None:
            found[key] = value
        elif not isinstance(source, Totals):
            not_in_memory.setdefault(source, []).append(key)
    for counts, names in not_in_memory.items():
        found.update(await counts.saved(names))
    return {key: value for key, value in found.items() if value.version}
