"""A circuit breaker: refuses calls to an engine that keeps failing. No I/O; time comes from a clock."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from kit.clock import Clock, SystemClock
from kit.errors import Unavailable

log = structlog.get_logger()
OPEN = Gauge("plaudit_breaker_open", "1 while calls to an engine are refused because it keeps failing.", ["engine"])
OPENED = Counter("plaudit_breaker_opened", "Times that calls to an engine began to be refused.", ["engine"])

OnTransition = Callable[[bool], None]


class Breaker:
    """Closed: calls pass. Open: they are refused. Half-open: one call at a time passes as a probe.

    Opens after `failures` failed calls in a row, or after two where all calls have failed for `failing_seconds`, so
    that a few slow calls that time out open it as soon as many fast ones.
    """

    def __init__(
        self,
        failures: int = 5,
        open_seconds: float = 0.5,
        clock: Clock | None = None,
        *,
        failing_seconds: float = 0.4,
        on_transition: OnTransition | None = None,
        what: str = "the engine",
    ) -> None:
        """`on_transition(open)` is called at each change; `what` names the engine in the refusal."""
        self._failures = failures
        self._open_seconds = open_seconds
        self._failing_seconds = failing_seconds
        self._clock = clock or SystemClock()
        self._on_transition = on_transition
        self._what = what
        self._failed = 0
        self._first_failure = 0.0
        self._open = False
        self._next_probe = 0.0

    def is_open(self) -> bool:
        """Whether calls are refused, but for probes."""
        return self._open

    def check(self) -> None:
        """Lets a call pass, or raises Unavailable. Each call that passes is followed by `ok` or `failed`."""
        if not self._open:
            return
        now = self._clock.monotonic()
        if now < self._next_probe:
            raise Unavailable(f"{self._what} does not answer; nothing was done", retry_after=self._next_probe - now)
        # A cancelled probe has no result, so another one may follow after the same time.
        self._next_probe = now + self._open_seconds

    def ok(self) -> None:
        """A call has succeeded."""
        self._failed = 0
        if self._open:
            self._transition(False)

    def failed(self) -> None:
        """A call has failed because of the engine."""
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
            self._transition(True)

    def _transition(self, to: bool) -> None:
        self._open = to
        if self._on_transition is not None:
            self._on_transition(to)


def engine_breaker(engine: str, failures: int = 5, open_seconds: float = 0.5, clock: Clock | None = None) -> Breaker:
    """A breaker whose transitions are logged and measured under the engine's name, for example `redis`."""
    gauge, opened = OPEN.labels(engine), OPENED.labels(engine)
    gauge.set(0)

    def on_transition(is_open: bool) -> None:
        gauge.set(int(is_open))
        if is_open:
            opened.inc()
            log.warning("engine keeps failing, calls are refused", engine=engine)
        else:
            log.warning("engine answers again", engine=engine)

    return Breaker(failures, open_seconds, clock, on_transition=on_transition, what=engine)
