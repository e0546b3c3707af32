"""Counts the outcomes of appends, and logs failures at most once in a while."""

from __future__ import annotations

import structlog

from kit.errors import OutcomeUnknown
from kit.ledger import metrics

log = structlog.get_logger()
LOG_SECONDS = 30.0
"""The least time between two log lines about failures."""


class AppendOutcomes:
    """The outcomes of the appends of one ledger. Times are monotonic seconds."""

    def __init__(self, ledger: str) -> None:
        for outcome in ("committed", "not_committed", "failed", "unknown"):
            metrics.APPENDS.labels(outcome)  # a rate needs a series that begins at 0
        self._ledger = ledger
        self._failures = 0
        """Failures since the last log line."""
        self._next_log = float("-inf")
        self._is_failing = False

    def appended(self, committed: bool) -> None:
        """The store has answered an append."""
        metrics.APPENDS.labels("committed" if committed else "not_committed").inc()
        if self._is_failing:
            self._is_failing = False
            log.warning("changes are saved again", ledger=self._ledger)

    def failed(self, error: Exception, now: float) -> None:
        """An append has failed."""
        is_unknown = isinstance(error, OutcomeUnknown)
        metrics.APPENDS.labels("unknown" if is_unknown else "failed").inc()
        self._failures += 1
        if now < self._next_log:
            return
        log.error(
            "changes cannot be saved, or it is unknown whether they were" if is_unknown else "changes cannot be saved",
            ledger=self._ledger,
            reason=str(error),
            failures=self._failures,
        )
        self._failures = 0
        self._next_log = now + LOG_SECONDS
        self._is_failing = True
