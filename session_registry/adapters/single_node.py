"""Leadership of the only registry of a system: it always leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kit.clock import Clock
from session_registry.domain import FIRST_TERM
from session_registry.ports import Lead


class SingleNodeLeadership:
    """See `ports.Leadership`. After a restart the nodes report the epochs they have."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resigned = False

    def leads(self) -> bool:
        """See `ports.Leadership`."""
        return not self._resigned

    def leader(self) -> str:
        """See `ports.Leadership`."""
        return ""

    def micros(self) -> int:
        """See `ports.Leadership`."""
        return int(self._clock.now() * 1_000_000)

    def ceiling(self) -> int:
        """See `ports.Leadership`. Nothing is remembered over a restart, so every epoch is possible."""
        return 1 << 62

    async def campaign(self, lead: Lead, highest: Callable[[], int]) -> None:
        """See `ports.Leadership`."""
        async with lead(FIRST_TERM):
            await asyncio.Event().wait()

    def resign(self) -> None:
        """See `ports.Leadership`."""
        self._resigned = True
