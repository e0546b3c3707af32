"""Clocks that differ from those of the machine."""

from __future__ import annotations

from kit.clock import SystemClock


class PausedClock(SystemClock):
    """The machine's clocks after pauses of the process, which a test only simulates."""

    def __init__(self) -> None:
        self._paused = 0.0

    def now(self) -> float:
        return super().now() + self._paused

    def monotonic(self) -> float:
        return super().monotonic() + self._paused

    def pause(self, seconds: float) -> None:
        """The process was paused until now, for so many seconds."""
        self._paused += seconds
