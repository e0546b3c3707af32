"""Time as an argument: a port, the system's clock, and one that tests turn by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since 1970; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; only grows."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """See `Clock`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Moves both clocks forward."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Moves the wall clock only, either way, as an administrator would."""
        self._now += seconds
