"""When a target is hot: many changes a second for some time; and when no longer. Pure: time comes as an argument."""

from __future__ import annotations

from typing import NamedTuple

_WINDOW = 1.0  # seconds over which a rate is measured


class HeatRule(NamedTuple):
    """Above `rate` changes a second for `hot_after` seconds: hot. Below half of it for `cool_after`: no longer."""

    rate: float = 2_000.0
    hot_after: float = 3.0
    cool_after: float = 30.0


class Heat:
    """The heat of one target. Times are monotonic, seconds."""

    __slots__ = ("_changes", "_other_since", "_rule", "_window", "hot")

    def __init__(self, rule: HeatRule, now: float, *, hot: bool = False) -> None:
        self._rule = rule
        self.hot = hot
        self._window = now
        self._changes = 0
        # Since when the rate has been on the other side of its bound.
        self._other_since: float | None = None

    def note(self, changes: int, now: float) -> bool:
        """Counts changes, or with 0 only lets time pass; returns whether the target is hot."""
        passed = now - self._window
        if passed >= _WINDOW:
            self._turn(self._changes / passed, self._window, now)
            self._window = now
            self._changes = 0
        self._changes += changes
        return self.hot

    def _turn(self, rate: float, since: float, now: float) -> None:
        rule = self._rule
        other = rate < rule.rate / 2 if self.hot else rate >= rule.rate
        if not other:
            self._other_since = None
            return
        if self._other_since is None:
            self._other_since = since
        if now - self._other_since >= (rule.cool_after if self.hot else rule.hot_after):
            self.hot = not self.hot
            self._other_since = None
