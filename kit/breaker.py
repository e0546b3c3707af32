"""A circuit breaker: an engine that keeps failing is left alone for a moment. No I/O; time comes from a clock."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from kit.clock import Clock, SystemClock
from kit.errors import Unavailable

log = structlog.get_logger()
OPEN = Gauge("plaudit_breaker_open", "1 while calls to an engine are refused because it keeps failing.", ["engine"])
OPENED = Counter("plaudit_breaker_opened", "Times an engine was found failing and left alone.", ["engine"])

OnTurn = Callable[[bool], None]


class Breaker:
    """Closed: calls pass. Open: they are refused. Half-open: one at a time passes, to see whether it goes again.

    Opens after `failures` calls in a row have failed, or already after two where the calls have done nothing but fail
    for `failing_seconds`: so that a few slow calls, each ending in a timeout, open it as soon as many fast ones.
    """

    def __init__(
        self,
        failures: int = 5,
        open_seconds: float = 0.5,
        clock: Clock | None = None,
        *,
        failing_seconds: float = 0.4,
        on_turn: OnTurn | None = None,
        what: str = "the engine",
    ) -> None:
        """`on_turn(open)` is called at each change; `what` is named in the refusal."""
        self._failures = failures
        self._open_seconds = open_seconds
        self._failing_seconds = failing_seconds
        self._clock = clock or SystemClock()
        self._on_turn = on_turn
        self._what = what
        self._failed = 0
        self._first_failure = 0.0
        self._open = False
        self._next_probe = 0.0

    def is_open(self) -> bool:
        """Whether calls are refused, but for probes."""
        return self._open

    def check(self) -> None:
        """Lets a call pass, or raises Unavailable. Say `ok` or `failed` of each that passed."""
        if not self._open:
            return
        now = self._clock.monotonic()
        if now < self._next_probe:
            raise Unavailable(f"{self._what} does not answer; nothing was done", retry_after=self._next_probe - now)
        # A probe that is given up says nothing; so another may follow after the same time.
        self._next_probe = now + self._open_seconds

    def ok(self) -> None:
        """A call has succeeded."""
        self._failed = 0
        if self._open:
            self._turn(False)

    def failed(self) -> None:
        """A call has failed for a reason that is not its own."""
        now = self._clock.monotonic()
        self._failed += 1
        if self._failed == 1:
            self._first_failure = now
        if self._open:
            self._next_probe = max(self._next_probe, now + self._open_seconds)
        elif self._failed >= self._failures or (
            self._failed > 1 and now - self._first_failure >= self._failing_seconds
        ):
            self._next_probe = now + self._open_seconds
            self._turn(True)

    def _turn(self, to: bool) -> None:
        self._open = to
        if self._on_turn is not None:
            self._on_turn(to)


def watched(engine: str, failures: int = 5, open_seconds: float = 0.5, clock: Clock | None = None) -> Breaker:
    """A breaker whose turns are logged and measured under the engine's name, for example `redis`."""
    gauge, opened = OPEN.labels(engine), OPENED.labels(engine)
    gauge.set(0)

    def on_turn(is_open: bool) -> None:
        gauge.set(int(is_open))
        if is_open:
            opened.inc()
            log.warning("engine keeps failing; it is left alone", engine=engine)
        else:
            log.warning("engine answers again", engine=engine)

    return Breaker(failures, open_seconds, clock, on_turn=on_turn, what=engine)
