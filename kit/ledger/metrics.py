"""Metrics of ledgers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SECONDS

_BYTES = tuple(100 * 4**power for power in range(8))

ENTRY_BYTES = Histogram("plaudit_ledger_entry_bytes", "Size of one entry.", buckets=_BYTES)
APPEND_SECONDS = Histogram("plaudit_ledger_append_seconds", "Time of one append.", buckets=SECONDS)
TABLES_SECONDS = Histogram("plaudit_ledger_tables_seconds", "Time of one round of table writes.", buckets=SECONDS)
APPENDS = Counter("plaudit_ledger_appends", "Appends, by outcome.", ["outcome"])
FORWARDED = Counter(
    "plaudit_ledger_forwarded_calls", "Calls for shards of other nodes, by where they were executed.", ["where"]
)
UNAPPLIED = Gauge("plaudit_ledger_unapplied_entries", "Entries whose tables are not written yet.", ["ledger"])
UNPUBLISHED = Gauge("plaudit_ledger_unpublished_entries", "Entries that are not on the event log yet.", ["ledger"])
WAITING = Gauge("plaudit_ledger_waiting_commands", "Commands that wait to be decided.", ["ledger"])
ASSIGNED = Gauge("plaudit_ledger_assigned_shards", "Shards assigned to this process.", ["ledger"])
STOPPED = Gauge(
    "plaudit_ledger_stopped_shards",
    "Shards stopped in this process: see its log.",
    ["ledger"],
)
