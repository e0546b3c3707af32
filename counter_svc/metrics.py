"""What can be measured of counting."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

from counter_svc.domain import Folded
from kit.telemetry import SECONDS, SIZES

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
SHARDS = Gauge("plaudit_counter_shards", "Partitions of the log that are folded here.")
BEHIND = Gauge("plaudit_counter_behind_records", "Log records that are not folded yet.", ["partition"])
SNAPSHOT_AGE = Gauge("plaudit_counter_snapshot_age_seconds", "Time since all counts were saved.", ["partition"])
FLUSH_SIZE = Histogram("plaudit_counter_flush_size", "Targets in one call to the shared counts.", buckets=(0, *SIZES))
FLUSH_SECONDS = Histogram("plaudit_counter_flush_seconds", "Time to share what had changed.", buckets=SECONDS)
FLUSH_FAILURES = Counter("plaudit_counter_flush_failures", "Times what had changed could not be shared.")
FLUSH_WAITING = Gauge("plaudit_counter_flush_waiting", "Targets that wait to be shared.")
SHARED_LOST = Counter("plaudit_counter_shared_lost", "Times the shared counts were found to be lost.")
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


def gone(partition: int) -> None:
    """Takes note that a partition is not folded here any longer."""
    for gauge in (BEHIND, SNAPSHOT_AGE):
        with suppress(KeyError):
            gauge.remove(str(partition))
