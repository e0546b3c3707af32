"""Metrics of fan-out."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SIZES

TOPICS = Gauge("plaudit_fanout_topics", "Topics with subscribers.")
UPDATES = Counter("plaudit_fanout_updates", "Windows that became an update.", ["kind"])
SNAPSHOT_TOPICS = Histogram("plaudit_fanout_snapshot_topics", "Topics in one request for counts.", buckets=SIZES)
DELIVERIES = Counter("plaudit_fanout_deliveries", "Deliveries queued for nodes.")
MERGED = Counter("plaudit_fanout_merged", "Deliveries replaced by newer ones before they were sent.")
RESYNCS = Counter("plaudit_fanout_node_resyncs", "Times a node needed snapshots because deliveries may have been lost.")
ENTRIES = Counter("plaudit_fanout_entries", "Entries of the ledger read from the log.")
REPEATED = Counter("plaudit_fanout_repeated_entries", "Entries that occurred on the log again.")
GAPS = Counter("plaudit_fanout_log_gaps", "Times that entries were missing on the log.")
_MEMBER_LISTS = Counter(
    "plaudit_fanout_member_lists",
    "Lookups of the members of a conversation, by where the answer came from.",
    ["source"],
)
MEMBERS_KNOWN = _MEMBER_LISTS.labels("memory")
MEMBERS_REQUESTED = _MEMBER_LISTS.labels("message_svc")
_STORM = UPDATES.labels("storm")
_CALM = UPDATES.labels("calm")


def count_update(storm: bool) -> None:
    """Counts an update."""
    (_STORM if storm else _CALM).inc()
