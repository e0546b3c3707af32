"""Logs which tokens are refused and why, never the tokens; for many refusals, one line every ten seconds."""

from __future__ import annotations

import structlog
from prometheus_client import Counter

log = structlog.get_logger()
REFUSALS = Counter("plaudit_token_refusals", "Tokens refused, by cause.", ["cause"])
_LINE_SECONDS = 10.0


class RefusalLog:
    """Logs the first refusal of each cause, then one line for all that follow within ten seconds of a line."""

    def __init__(self) -> None:
        self._next_line: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def refused(self, cause: str, issuer: str, now: float) -> None:
        """A token was refused. `issuer` is one that is trusted, or empty; `now` is in seconds."""
        REFUSALS.labels(cause).inc()
        self._unsaid[cause] = times = self._unsaid.get(cause, 0) + 1
        due = self._next_line.get(cause, now)
        if due - _LINE_SECONDS <= now < due:
            return
        self._next_line[cause] = now + _LINE_SECONDS
        self._unsaid[cause] = 0
        log.info("token refused", cause=cause, issuer=issuer, times=times)
