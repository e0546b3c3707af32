"""The keys of targets and users, which are unique over all tenants."""

from __future__ import annotations

TargetKey = tuple[str, str]
"""A tenant and the name of one of its targets, for example `("default", "messages/42")`."""
UserKey = tuple[str, str]
"""A tenant and the id of one of its users."""
