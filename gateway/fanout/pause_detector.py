"""After a pause of the process, holds deliveries back until the registry says which sessions still live here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.ports import Directory

log = structlog.get_logger()
# A node renews its lease at least every third of it. After a pause longer than the rest, the lease may have expired.
_SAFE_SHARE = 2 / 3
_POLL = 0.02
# Fences follow the lease grants immediately, and so does what was in transit before the pause.
_FENCE_DELAY = 0.1


class PauseDetector:
    """Compares the times of consecutive ticks; a long gap between two means that the process was paused."""

    def __init__(self, directory: Directory, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._last_tick = monotonic()
        self._resumed_at: float | None = None
        self._epoch = 0

    def tick(self, now: float) -> None:
        """Records that the process runs at `now`."""
        gap, self._last_tick = now - self._last_tick, now
        if gap < 1.0:
            return
        status = self._directory.lease_status()
        if 0 < status.lease * _SAFE_SHARE < gap:
            log.warning("process was paused: deliveries wait for the registry", seconds=round(gap, 1))
            self._resumed_at, self._epoch = now, status.epoch

    async def wait_until_safe(self) -> None:
        """Returns once the registry has said which sessions still live here; at once if there was no pause."""
        self.tick(self._monotonic())
        while self._resumed_at is not None:
            resumed_at, status, now = self._resumed_at, self._directory.lease_status(), self._monotonic()
            is_new_epoch = status.epoch != self._epoch and status.settled
            is_confirmed = status.heard_at > resumed_at + _FENCE_DELAY
            if is_new_epoch or is_confirmed or now > resumed_at + 2 * status.lease:
                if is_new_epoch:
                    await asyncio.sleep(_FENCE_DELAY)
                self._resumed_at = None
            else:
                await asyncio.sleep(_POLL)
