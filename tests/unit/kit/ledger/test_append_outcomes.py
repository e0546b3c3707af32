"""Appends that fail are counted, and logged at most once in a while."""

from __future__ import annotations

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.append_outcomes import LOG_SECONDS, AppendOutcomes

FULL = Unavailable("the change could not be saved", detail="database or disk is full")


def appends(outcome: str) -> float:
    """How many appends had an outcome."""
    return REGISTRY.get_sample_value("plaudit_ledger_appends_total", {"outcome": outcome}) or 0.0


def test_failed_appends_are_counted_and_logged_with_the_reason_once_per_interval() -> None:
    outcomes = AppendOutcomes("things")
    before = appends("failed")
    with capture_logs() as lines:
        for second in (0.0, 1.0, 2.0, LOG_SECONDS, LOG_SECONDS + 1.0):
            outcomes.failed(FULL, second)
    assert appends("failed") == before + 5
    assert [(line["log_level"], line["event"], line["failures"]) for line in lines] == [
        ("error", "changes cannot be saved", 1),
        ("error", "changes cannot be saved", 3),
    ]
    assert lines[0]["reason"] == "the change could not be saved: database or disk is full"
    assert lines[0]["ledger"] == "things"


def test_the_end_of_failures_is_logged_once() -> None:
    outcomes = AppendOutcomes("things")
    with capture_logs() as lines:
        outcomes.appended(True)
        outcomes.failed(FULL, 0.0)
        outcomes.appended(True)
        outcomes.appended(False)
        # Failures and successes in turn are not two lines each time.
        outcomes.failed(FULL, 1.0)
        outcomes.appended(True)
    assert [line["event"] for line in lines] == ["changes cannot be saved", "changes are saved again"]


def test_an_unknown_outcome_is_counted_separately() -> None:
    before = appends("unknown")
    with capture_logs() as lines:
        AppendOutcomes("things").failed(OutcomeUnknown("it is not known whether the change was saved"), 0.0)
    assert appends("unknown") == before + 1
    assert [line["log_level"] for line in lines] == ["error"]
