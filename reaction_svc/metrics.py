"""What can be measured of the service from outside; of its ledger see `kit.ledger.metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from kit.telemetry import SIZES

CHANGES = Counter("plaudit_reaction_changes", "Changes asked for, by what became of them.", ["outcome"])
CHANGE_BATCH = Histogram("plaudit_reaction_batch_size", "Changes that were asked for together.", buckets=SIZES)
ANSWERS_FORGOTTEN = Counter("plaudit_reaction_answers_forgotten", "Rows of old answers dropped because of their age.")
ERASED = Counter("plaudit_reaction_erased", "Reactions taken back by erasures of persons and targets.")
LIMITS_LOCAL = Gauge(
    "plaudit_reaction_limits_local", "1 while this node limits users by itself because the common limit is away."
)
DRIFTED = Counter("plaudit_reaction_drifted", "Targets whose records, counted, differed from their head.")
