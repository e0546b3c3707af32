"""Metrics of the service; for those of its ledger see `kit.ledger.metrics`."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import Counter, Gauge

COMMANDS = Counter(
    "plaudit_message_commands", "Commands on conversations, by action and outcome.", ["action", "outcome"]
)
NOTIFICATION_DECISIONS = Counter(
    "plaudit_message_notification_decisions",
    "Decisions about a message and a member: notified (no_session, not_acked), or why not.",
    ["decision"],
)
PENDING_ACKS = Gauge(
    "plaudit_message_pending_acks", "Waits for acknowledgements, of members and conversations.", ["partition"]
)
NOTIFICATION_LAG = Gauge(
    "plaudit_message_notification_lag_records", "Log records that notifications have not read yet.", ["partition"]
)
NOTIFICATION_GAPS = Counter(
    "plaudit_message_notification_log_gaps", "Times that entries were missing on the log, or that it was replaced."
)
ITEMS_HIDDEN = Counter(
    "plaudit_message_items_hidden", "Messages and changes that have disappeared because of their age."
)
ITEMS_PURGED = Counter("plaudit_message_items_purged", "Messages and changes whose rows were removed after that.")


def left_partition(partition: int) -> None:
    """Drops the series of a partition that is not assigned to this node any more."""
    for gauge in (PENDING_ACKS, NOTIFICATION_LAG):
        with suppress(KeyError):
            gauge.remove(str(partition))
