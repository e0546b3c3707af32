"""Writes changed counts to the shared store, where other nodes read them."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice

from counter_svc import metrics
from counter_svc.domain import Totals
from counter_svc.ports import SharedCounts
from kit.errors import OutcomeUnknown, Unavailable
from kit.tenant_keys import TargetKey

_BATCH = 500
_CHECK_SECONDS = 1.0
_SAMPLED_FROM = 1_024
_SAMPLE = 16


class Publisher:
    """Writes the newest version of each changed target, for all partitions together.

    Changes wait while the store cannot be reached. Once a second, a sample of recent writes is read back: where one is
    missing or older, the store has lost data, and everything in memory is written again.
    """

    def __init__(
        self,
        shared: SharedCounts,
        seconds: float,
        max_pending: int,
        *,
        in_memory: Callable[[], Iterable[tuple[TargetKey, Totals]]],
        overflowed: Callable[[], None],
    ) -> None:
        """Above `max_pending` targets, all are dropped, and `overflowed` schedules a recount."""
        self._shared = shared
        self._seconds = seconds
        self._max_pending = max_pending
        self._in_memory = in_memory
        self._overflowed = overflowed
        self._pending: dict[TargetKey, Totals] = {}
        self._in_flight: dict[TargetKey, Totals] = {}
        self._corrected: set[TargetKey] = set()
        self._recently_put: OrderedDict[TargetKey, int] = OrderedDict()
        self._flush_lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._pending.keys() | self._in_flight.keys())

    def add(self, values: Iterable[tuple[TargetKey, Totals]], *, corrected: bool = False) -> None:
        """Adds new counts of targets; `corrected`: they replace the shared ones whatever their version."""
        self._pending.update(values)
        if corrected:
            self._corrected.update(key for key, _ in values)
        if len(self._pending) > self._max_pending:
            self._pending.clear()
            self._corrected.clear()
            self._overflowed()

    async def run(self) -> None:
        """Publishes until it is cancelled."""
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while True:
            await asyncio.sleep(self._seconds)
            try:
                if loop.time() >= checked + _CHECK_SECONDS:
                    checked = loop.time()
                    await self.check_for_loss()
                await self.flush()
            except (Unavailable, OutcomeUnknown):
                metrics.FLUSH_FAILURES.inc()

    async def flush(self) -> None:
        """Publishes all pending counts. Raises Unavailable or OutcomeUnknown; then the rest stays pending."""
        async with self._flush_lock:
            if not self._pending:
                return
            in_flight = self._in_flight = self._pending
            self._pending = {}
            corrected, self._corrected = self._corrected, set()
            try:
                with metrics.FLUSH_SECONDS.time():
                    while in_flight:
                        part = dict(islice(in_flight.items(), _BATCH))
                        await self._shared.put(part, corrected & part.keys())
                        metrics.FLUSH_SIZE.observe(len(part))
                        self._record_put(part)
                        for key in part:
                            del in_flight[key]
                        corrected -= part.keys()
            finally:
                if in_flight:
                    self._pending = in_flight | self._pending
                    self._corrected |= corrected
                    self._in_flight = {}

    async def check_for_loss(self) -> None:
        """Reads a sample of recent writes back; where one is lost, publishes everything in memory again."""
        keys = random.sample(list(self._recently_put), min(_SAMPLE, len(self._recently_put)))
        versions = {key: self._recently_put[key] for key in keys}
        found = await self._shared.get(keys) if keys else {}
        if any(key not in found or found[key].version < version for key, version in versions.items()):
            metrics.SHARED_LOST.inc()
            self._recently_put.clear()
            self.add([(key, value) for key, value in self._in_memory() if key not in self._pending])

    def _record_put(self, put: dict[TargetKey, Totals]) -> None:
        recent = self._recently_put
        for key, value in put.items():
            recent[key] = value.version
            recent.move_to_end(key)
        while len(recent) > _SAMPLED_FROM:
            recent.popitem(last=False)
