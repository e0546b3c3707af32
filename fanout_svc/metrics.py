"""What can be measured of fan-out."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SIZES

TOPICS = Gauge("plaudit_fanout_topics", "Topics that some node wants.")
UPDATES = Counter("plaudit_fanout_updates", "Windows that became an update.", ["kind"])
FLUSHED = Histogram("plaudit_fanout_flush_topics", "Topics in one question for counts.", buckets=SIZES)
LATE = Counter("plaudit_fanout_late_topics", "Topics whose counts were not ready in time and were asked for again.")
DELIVERIES = Counter("plaudit_fanout_deliveries", "Deliveries handed to nodes.")
MERGED = Counter("plaudit_fanout_merged", "Deliveries overtaken by newer ones before they were sent.")
BEHIND = Counter("plaudit_fanout_nodes_behind", "Times a node had to be told everything anew.")
CHANGES = Counter("plaudit_fanout_changes", "Changes read from the log.")
GAPS = Counter("plaudit_fanout_log_gaps", "Times the log no longer had what came next.")
_STORM = UPDATES.labels("storm")
_CALM = UPDATES.labels("calm")


def flushed(topics: int, late: int) -> None:
    """Takes note of a question for counts."""
    FLUSHED.observe(topics)
    if late:
        LATE.inc(late)


def updated(storm: bool) -> None:
    """Takes note of an update."""
    (_STORM if storm else _CALM).inc()
