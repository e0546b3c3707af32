"""Saves the watermarks of a shard and trims its entries. No I/O; time is an argument."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from kit.ledger.backoff import NEVER, Backoff
from kit.ledger.ports import Watermarks
from kit.ledger.shard.effects import SaveWatermarks, Trim


class WatermarkLimits(NamedTuple):
    """How watermarks are saved and entries trimmed."""

    save_seconds: float = 0.5
    trim_seconds: float = 10.0
    # How long an entry stays at least, so that a node that was paused finds the entries it missed.
    retain_seconds: float = 60.0


class WatermarkSaver:
    """Saves the watermarks periodically, and trims the entries below both, but never the last entry."""

    def __init__(self, rng: random.Random, limits: WatermarkLimits) -> None:
        self._limits = limits
        self._backoff = Backoff(rng)
        self._saved = Watermarks()
        self._in_flight: SaveWatermarks | Trim | None = None
        self._save_at = 0.0
        self._trim_at = 0.0
        self._trimmed = 0
        self._positions_over_time: deque[tuple[float, int]] = deque()

    def start(self, saved: Watermarks, now: float) -> None:
        """Begins with the watermarks in the store."""
        self._saved = saved
        self._save_at = now + self._limits.save_seconds
        self._trim_at = now + self._limits.trim_seconds

    def poll(self, marks: Watermarks, position: int, now: float, *, is_assigned: bool) -> SaveWatermarks | Trim | None:
        """Saves or trims where that is due; None where an effect is in flight or nothing is due."""
        if self._in_flight is not None or now < self._backoff.until:
            return None
        if marks != self._saved and now >= self._save_at:
            self._in_flight = SaveWatermarks(marks)
        elif is_assigned and now >= self._trim_at:
            self._trim_at = now + self._limits.trim_seconds
            self._positions_over_time.append((now, position))
            before = self._trimmable(now)
            if before > self._trimmed:
                self._in_flight = Trim(before)
        return self._in_flight

    def done(self, effect: SaveWatermarks | Trim, now: float) -> None:
        """Records the result of the effect in flight."""
        if effect is not self._in_flight:
            return
        if isinstance(effect, SaveWatermarks):
            self._saved = effect.marks
            self._save_at = now + self._limits.save_seconds
        else:
            self._trimmed = effect.before
        self._in_flight = None
        self._backoff.succeeded()

    def failed(self, effect: SaveWatermarks | Trim, now: float) -> None:
        """Repeats the effect later."""
        if effect is self._in_flight:
            self._in_flight = None
            self._backoff.failed(now)

    def is_saved(self, marks: Watermarks) -> bool:
        """Whether these watermarks are saved and no effect is in flight."""
        return self._in_flight is None and marks == self._saved

    def save_now(self) -> None:
        """Saves at the next `poll`."""
        self._save_at = 0.0

    def next_at(self, marks: Watermarks, *, is_assigned: bool) -> float:
        """The time of the next step, or `NEVER`."""
        if self._in_flight is not None:
            return NEVER
        save = self._save_at if marks != self._saved else NEVER
        return max(self._backoff.until, min(save, self._trim_at if is_assigned else NEVER))

    def _trimmable(self, now: float) -> int:
        found = 0
        while self._positions_over_time and self._positions_over_time[0][0] <= now - self._limits.retain_seconds:
            found = self._positions_over_time.popleft()[1]
        before = min(found, self._saved.applied, self._saved.published)
        if found > before:
            # Old enough, but not below the watermarks yet: tried again the next time.
            self._positions_over_time.appendleft((now - self._limits.retain_seconds, found))
        return before
