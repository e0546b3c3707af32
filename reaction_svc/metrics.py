"""What can be measured of the room from outside."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SECONDS, SIZES

CHANGES = Counter("plaudit_reaction_changes", "Changes asked for, by what became of them.", ["outcome"])
CHANGE_BATCH = Histogram("plaudit_reaction_batch_size", "Changes that were asked for together.", buckets=SIZES)
COMMIT_OPS = Histogram("plaudit_reaction_commit_ops", "Operations in one commit of the store.", buckets=SIZES)
COMMIT_SECONDS = Histogram("plaudit_reaction_commit_seconds", "Time of one commit of the store.", buckets=SECONDS)
OPS_FORGOTTEN = Counter("plaudit_reaction_ops_forgotten", "Operation ids dropped because of their age.")
LIMITS_LOCAL = Gauge(
    "plaudit_reaction_limits_local", "1 while this node limits users by itself because the common limit is away."
)
HOT_TARGETS = Gauge("plaudit_reaction_hot_targets", "Targets whose new records are spread over buckets.")
OUTBOX_FACTS = Gauge("plaudit_reaction_outbox_facts", "Facts that are not on the event log yet.")
OUTBOX_AGE = Gauge("plaudit_reaction_outbox_age_seconds", "For how long the oldest of them waits.")
OUTBOXES_ADOPTED = Counter("plaudit_reaction_outboxes_adopted", "Outboxes of writers that were gone, finished here.")
CONFLICTS = Counter("plaudit_reaction_conflicts", "Batches decided again because another writer was first.")
DRIFTED = Counter("plaudit_reaction_drifted", "Targets whose records, counted, differed from the running counts.")
