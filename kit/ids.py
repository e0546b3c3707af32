"""Ids that are unique without asking anyone; order comes from sequences, never from these."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A UUIDv7 in its text form, 36 characters."""
    return str(uuid_utils.uuid7())
