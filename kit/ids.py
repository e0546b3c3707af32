"""Ids that are unique without coordination; they define no order."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A UUIDv7 in its text form, 36 characters."""
    return str(uuid_utils.uuid7())
