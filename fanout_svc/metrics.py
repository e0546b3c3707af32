"""What can be measured of fan-out."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SIZES

TOPICS = Gauge("plaudit_fanout_topics", "Topics that some node wants.")
UPDATES = Counter("plaudit_fanout_updates", "Windows that became an update.", ["kind"])
GREETINGS = Histogram("plaudit_fanout_greeting_topics", "Topics in one question for counts.", buckets=SIZES)
DELIVERIES = Counter("plaudit_fanout_deliveries", "Deliveries handed to nodes.")
MERGED = Counter("plaudit_fanout_merged", "Deliveries overtaken by newer ones before they were sent.")
BEHIND = Counter("plaudit_fanout_nodes_behind", "Times a node had to be told everything anew.")
ENTRIES = Counter("plaudit_fanout_entries", "Entries of the ledger read from the log.")
REPEATED = Counter("plaudit_fanout_repeated_entries", "Entries on the log that had been read before.")
GAPS = Counter("plaudit_fanout_log_gaps", "Times the log no longer had what came next.")
_STORM = UPDATES.labels("storm")
_CALM = UPDATES.labels("calm")


def updated(storm: bool) -> None:
    """Takes note of an update."""
    (_STORM if storm else _CALM).inc()
