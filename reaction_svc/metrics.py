"""Metrics of the service; for those of its ledger see `kit.ledger.metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SIZES

CHANGES = Counter("plaudit_reaction_changes", "Requested changes, by outcome.", ["outcome"])
CHANGE_BATCH = Histogram("plaudit_reaction_batch_size", "Changes per request.", buckets=SIZES)
ANSWERS_DELETED = Counter("plaudit_reaction_answers_deleted", "Rows of answers deleted because of their age.")
ERASED = Counter("plaudit_reaction_erased", "Reactions removed by erasures of users and targets.")
LIMITS_LOCAL = Gauge(
    "plaudit_reaction_limits_local", "1 while this node limits users by itself because the common limit is unavailable."
)
DRIFTED = Counter("plaudit_reaction_drifted", "Targets whose records, counted, differed from their head.")
