"""Counts on their way to where the other nodes read them."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice

from counter_svc import metrics
from counter_svc.domain import Key, Totals
from counter_svc.ports import SharedCounts
from kit.errors import OutcomeUnknown, Unavailable

_AT_ONCE = 500
_LOOK_SECONDS = 1.0
_REMEMBERED = 1_024
_SAMPLE = 16


class Publisher:
    """Puts what has changed into the shared counts, the newest version of each target, for all partitions together.

    What cannot be put now waits. A sample of what was put lately is read back once a second: where it is missing, or
    older, the shared counts were lost, in part or all, and everything in memory is put again.
    """

    def __init__(
        self,
        shared: SharedCounts,
        seconds: float,
        most: int,
        *,
        in_memory: Callable[[], Iterable[tuple[Key, Totals]]],
        overflowed: Callable[[], None],
    ) -> None:
        """`most`: targets that may wait; beyond it they are dropped, and `overflowed` has everything compared."""
        self._shared = shared
        self._seconds = seconds
        self._most = most
        self._in_memory = in_memory
        self._overflowed = overflowed
        self._pending: dict[Key, Totals] = {}
        self._going: dict[Key, Totals] = {}  # what is being put just now
        self._corrected: set[Key] = set()
        self._put_lately: OrderedDict[Key, int] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._pending.keys() | self._going.keys())

    def add(self, values: Iterable[tuple[Key, Totals]], *, corrected: bool = False) -> None:
        """Targets have new counts; `corrected`: they replace what is shared whatever its version."""
        self._pending.update(values)
        if corrected:
            self._corrected.update(key for key, _ in values)
        if len(self._pending) > self._most:
            self._pending.clear()
            self._corrected.clear()
            self._overflowed()

    async def run(self) -> None:
        """Publishes until it is cancelled."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(self._seconds)
            try:
                if loop.time() >= looked + _LOOK_SECONDS:
                    looked = loop.time()
                    await self.look_for_loss()
                await self.flush()
            except (Unavailable, OutcomeUnknown):
                metrics.FLUSH_FAILURES.inc()

    async def flush(self) -> None:
        """Publishes what waits. Raises Unavailable or OutcomeUnknown; then what is left waits on."""
        async with self._one_at_a_time:
            if not self._pending:
                return
            going = self._going = self._pending
            self._pending = {}
            corrected, self._corrected = self._corrected, set()
            try:
                with metrics.FLUSH_SECONDS.time():
                    while going:
                        part = dict(islice(going.items(), _AT_ONCE))
                        await self._shared.put(part, corrected & part.keys())
                        metrics.FLUSH_SIZE.observe(len(part))
                        self._remember(part)
                        for key in part:
                            del going[key]
                        corrected -= part.keys()
            finally:
                if going:
                    self._pending = going | self._pending
                    self._corrected |= corrected
                    self._going = {}

    async def look_for_loss(self) -> None:
        """Reads back some of what was put lately; where it is not there, everything in memory is put again."""
        keys = random.sample(list(self._put_lately), min(_SAMPLE, len(self._put_lately)))
        versions = {key: self._put_lately[key] for key in keys}
        found = await self._shared.get(keys) if keys else {}
        if any(key not in found or found[key].version < version for key, version in versions.items()):
            metrics.SHARED_LOST.inc()
            self._put_lately.clear()
            self.add([(key, value) for key, value in self._in_memory() if key not in self._pending])

    def _remember(self, put: dict[Key, Totals]) -> None:
        lately = self._put_lately
        for key, value in put.items():
            lately[key] = value.version
            lately.move_to_end(key)
        while len(lately) > _REMEMBERED:
            lately.popitem(last=False)
