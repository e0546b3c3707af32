"""A process that stood still may have lost its sessions to others: what came meanwhile waits until that is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.ports import Directory

log = structlog.get_logger()
# The registry hears every node at least every third of a lease; who stood still for longer than the rest of it may
# have been given up.
_SAFE = 2 / 3
_LOOK = 0.02
# Fences come right behind the grants; what was in the wires before the stall, at once.
_BEHIND = 0.1


class Stall:
    """Told the time whenever something happens; a long silence means that this process did not run."""

    def __init__(self, directory: Directory, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._seen = monotonic()
        self._since: float | None = None
        self._epoch = 0

    def tick(self, now: float) -> None:
        """The process runs at `now`."""
        silence, self._seen = now - self._seen, now
        if silence < 1.0:
            return
        standing = self._directory.lease_status()
        if 0 < standing.lease * _SAFE < silence:
            log.warning("stood still: deliveries wait for the registry", seconds=round(silence, 1))
            self._since, self._epoch = now, standing.epoch

    async def over(self) -> None:
        """Returns when the registry has said which sessions are still ours; at once where nothing happened."""
        self.tick(self._monotonic())
        while self._since is not None:
            since, standing, now = self._since, self._directory.lease_status(), self._monotonic()
            anew = standing.epoch != self._epoch and standing.settled
            if anew or standing.heard_at > since + _BEHIND or now > since + 2 * standing.lease:
                if anew:
                    await asyncio.sleep(_BEHIND)
                self._since = None
            else:
                await asyncio.sleep(_LOOK)
