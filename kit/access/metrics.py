"""Metrics of the access of users to messages."""

from __future__ import annotations

from prometheus_client import Counter

_LOOKUPS = Counter(
    "plaudit_access_lookups",
    "Checks whether a user may see a message or a conversation, by where the answer came from.",
    ["source"],
)
HITS = _LOOKUPS.labels("memory")
MISSES = _LOOKUPS.labels("message_svc")
