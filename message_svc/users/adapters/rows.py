"""Rows of the tables as values of the domain, the same for all engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from message_svc.users.domain import DEFAULTS, Audience, Preferences, Relation

AFTER_ALL = "\U0010ffff"
"""Sorts after every character of a username."""

ERASURE = ("erase_user", "erase_contacts", "erase_blocks")
"""The statements that delete a user."""


def preferences_of(row: Sequence[Any]) -> Preferences:
    """The preferences in columns `who_may_write` to `read_receipts`."""
    who_may_write, who_may_add, last_seen, phone_lookup, read_receipts = row
    return Preferences(
        Audience(who_may_write), Audience(who_may_add), Audience(last_seen), bool(phone_lookup), bool(read_receipts)
    )


def relation_of(row: Sequence[Any]) -> Relation:
    """The relation in the columns of preferences, which are NULL where the user does not exist, and two truths."""
    *preferences, has_contact, is_blocked = row
    known = DEFAULTS if preferences[0] is None else preferences_of(preferences)
    return Relation(known, bool(has_contact), bool(is_blocked))
