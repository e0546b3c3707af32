"""Metrics of the service; for those of its ledger see `kit.ledger.metrics`."""

from __future__ import annotations

from prometheus_client import Counter

COMMANDS = Counter(
    "plaudit_message_commands", "Commands on conversations, by action and outcome.", ["action", "outcome"]
)
