"""Metrics of the counter."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SECONDS, SIZES

ENTRIES = Counter("plaudit_counter_entries", "Entries read from the log: next, old, gap or reset.", ["arrival"])
ROWS = Counter(
    "plaudit_counter_rows", "Targets in these entries: with a newer version, or with one known before.", ["outcome"]
)
HEADS = Counter("plaudit_counter_heads_read", "Targets whose heads were read from reaction_svc.")
IN_MEMORY = Gauge("plaudit_counter_targets_in_memory", "Targets in memory.")
GAPS = Counter("plaudit_counter_log_gaps", "Times that entries were missing on the log, or that the log was replaced.")
POISON = Counter("plaudit_counter_unreadable_records", "Log records that could not be read.")
CHECKED = Counter("plaudit_counter_checked_targets", "Targets sampled and compared with their records.")
DRIFTED = Counter(
    "plaudit_counter_drift_targets", "Targets whose counts differed from their records at one version.", ["found_by"]
)
PARTITIONS = Gauge("plaudit_counter_partitions", "Partitions of the log that are assigned to this node.")
LAG = Gauge("plaudit_counter_lag_records", "Log records that are not read yet.", ["partition"])
FLUSH_SIZE = Histogram("plaudit_counter_flush_size", "Targets in one call to the shared counts.", buckets=(0, *SIZES))
FLUSH_SECONDS = Histogram("plaudit_counter_flush_seconds", "Time to share changed counts.", buckets=SECONDS)
FLUSH_FAILURES = Counter("plaudit_counter_flush_failures", "Times that changed counts could not be shared.")
PENDING = Gauge("plaudit_counter_pending_targets", "Changed targets that are not shared yet.")
SHARED_LOST = Counter("plaudit_counter_shared_lost", "Times that shared counts were found to be lost.")
_APPLIED = ROWS.labels("applied")
_OUTDATED = ROWS.labels("outdated")


def applied(rows: int, changed: int) -> None:
    """Counts the rows of an entry, and those of them that changed a target."""
    _APPLIED.inc(changed)
    if rows > changed:
        _OUTDATED.inc(rows - changed)


def drifted(found_by: str, targets: int) -> None:
    """Counts targets that were wrong, found by `sample` or `rebuild`."""
    DRIFTED.labels(found_by).inc(targets)


def left(partition: int) -> None:
    """Drops the series of a partition that is not assigned to this node any more."""
    with suppress(KeyError):
        LAG.remove(str(partition))
