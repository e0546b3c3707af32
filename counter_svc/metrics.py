"""What can be measured of counting."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from counter_svc.domain import Folded

CHANGES = Counter("plaudit_counter_changes", "Changes folded.", ["outcome"])
SAVED = Counter("plaudit_counter_saved_targets", "Targets saved.")
IN_MEMORY = Gauge("plaudit_counter_targets_in_memory", "Targets in memory.")
GAPS = Counter("plaudit_counter_log_gaps", "Times the log no longer had what came next.")
POISON = Counter("plaudit_counter_unreadable_records", "Log records that could not be read.")
CHECKED = Counter("plaudit_counter_checked_targets", "Targets sampled and compared with their records.")
SUSPECTS = Counter("plaudit_counter_suspect_targets", "Targets that the log itself showed to be wrong.")
DRIFTED = Counter(
    "plaudit_counter_drift_targets", "Targets whose counts differed from their records at one version.", ["found_by"]
)
_COUNTED = CHANGES.labels("counted")
_REPEATED = CHANGES.labels("repeated")


def folded(done: Folded) -> None:
    """Takes note of a fold."""
    _COUNTED.inc(done.counted)
    if done.repeated:
        _REPEATED.inc(done.repeated)
    if done.suspect:
        SUSPECTS.inc(len(done.suspect))


def drifted(found_by: str, targets: int) -> None:
    """Takes note of targets that were wrong, found by `fold`, `sample` or `rebuild`."""
    DRIFTED.labels(found_by).inc(targets)
