"""The keys of targets, conversations and users, which are unique over all tenants."""

from __future__ import annotations

TargetKey = tuple[str, str]
"""A tenant and the name of one of its targets, such as `("default", "messages/42")`, or the id of a conversation."""
UserKey = tuple[str, str]
"""A tenant and the id of one of its users."""
