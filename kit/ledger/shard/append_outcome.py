"""What a page of entries says about an append whose outcome is unknown, and about the state in memory. Pure."""

from __future__ import annotations

from enum import Enum

from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry
from kit.ledger.ports import Page


class AppendOutcome(Enum):
    """What has become of an append."""

    # The entry is durable.
    COMMITTED = "committed"
    # An entry of another append is at its position.
    REJECTED = "rejected"
    # Nothing is at its position yet: the same append can be sent again.
    ABSENT = "absent"
    # The position was trimmed, so the outcome cannot be determined any more.
    TRIMMED = "trimmed"


def append_outcome(entry: Entry, page: Page) -> AppendOutcome:
    """The outcome of an append of `entry`, by a page that was read from its position on.

    Raises CorruptEntry where entries before it are missing.
    """
    found = page.entries[0] if page.entries and page.entries[0].position == entry.position else None
    if found is not None:
        return AppendOutcome.COMMITTED if found.append_id == entry.append_id else AppendOutcome.REJECTED
    check_tail(page, entry.position - 1)
    return AppendOutcome.ABSENT if page.tail == entry.position - 1 else AppendOutcome.TRIMMED


def check_tail(page: Page, position: int) -> None:
    """Raises CorruptEntry where the last position of the page is before one that was durable."""
    if page.tail < position:
        raise CorruptEntry(f"the last entry is {page.tail}, it was {position} before")


def has_gap(page: Page, position: int) -> bool:
    """Whether entries between `position` and the first of the page were trimmed."""
    return page.tail > position and (not page.entries or page.entries[0].position != position + 1)
