"""Decides which calls a server admits: those that can be answered within their deadline. Times are arguments.

The measure is how long calls take now (a sojourn time in the sense of RFC 8289, not a count), so the same limit fits a
slow and a fast machine. By Little's law it bounds the calls in flight as well.
"""

from __future__ import annotations

from kit.errors import Overloaded
from kit.limits.bucket import Bucket
from kit.limits.server_limits import AdmissionLimits

_WEIGHT = 1 / 32  # of the newest call in the mean
_MARGIN = 1.5  # the slower calls take this many times the mean
_EARLY_BURST_SECONDS = 0.1
_RETRY_LEAST, _RETRY_MOST = 0.1, 2.0


class Admission:
    """Calls in flight of one method, and how long they take. `now` is seconds of a clock that only grows."""

    __slots__ = ("_always", "_early", "_early_burst", "_last_end", "_limits", "_mean", "in_flight")

    def __init__(self, limits: AdmissionLimits) -> None:
        self.in_flight = 0
        self._limits = limits
        self._always = min(limits.always, limits.most)
        self._mean = 0.0
        self._last_end = 0.0
        rate = limits.early_refusals
        self._early_burst = max(1.0, rate * _EARLY_BURST_SECONDS)
        self._early = Bucket(rate, self._early_burst) if rate else None

    def expected(self, now: float) -> float:
        """How long a call that begins now is expected to take, seconds.

        The mean of the last calls; where none has ended for longer than that, the time since the last one.
        """
        return max(self._mean, now - self._last_end) if self.in_flight else self._mean

    def begin(self, left: float | None, now: float, calls: int = 1) -> None:
        """Admits calls that must be answered within `left` seconds; raises Overloaded, with nothing counted.

        Each `begin` that returns is followed by one `end`.
        """
        if self.in_flight >= self._always:
            expected = self.expected(now)
            if self._is_too_much(expected, left, now, calls):
                wait = min(max(_RETRY_LEAST, expected), _RETRY_MOST)
                raise Overloaded("more calls come than can be answered in time; nothing was done", retry_after=wait)
        elif not self.in_flight:
            self._last_end = now
        self.in_flight += calls

    def _is_too_much(self, expected: float, left: float | None, now: float, calls: int) -> bool:
        limits = self._limits
        if self.in_flight >= limits.most:
            return True
        if left is None:
            left = limits.default_deadline
        if expected * _MARGIN > left:
            return True
        # A refusal costs up to a third of a call: refusing all callers that retry at once would leave no time to serve.
        if expected <= left * limits.share or self._early is None or calls > self._early_burst:
            return False
        return not self._early.take(calls, now)

    def end(self, began: float, now: float, calls: int = 1, *, answered: bool = True) -> None:
        """Calls that began at `began` have ended: `answered`, or abandoned by their callers."""
        self.in_flight -= calls
        longer = now - began - self._mean
        if answered:
            self._last_end = now
        elif longer < 0:
            return  # it would have taken longer, but it is not known how long
        self._mean += longer * _WEIGHT
