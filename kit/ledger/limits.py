"""What one shard of a ledger takes on."""

from __future__ import annotations

from typing import NamedTuple

from kit.ledger.lanes import FeedLimits, MarkLimits


class ShardLimits(NamedTuple):
    """Times in seconds."""

    commands_at_once: int = 1_024
    commands_waiting: int = 32_768
    # Entries without their tables, and entries not published: above, nothing more is decided.
    unapplied: int = 64
    unpublished: int = 1_000_000
    # Where an append of several commands ended less than `quiet_seconds` ago, fewer than `few` wait for more: until
    # none has come for `gap_seconds`, and `linger_seconds` at most.
    few: int = 32
    quiet_seconds: float = 0.005
    gap_seconds: float = 0.003
    linger_seconds: float = 0.015
    # Another node was first: a pause up to this before the next attempt, so that both get their turn.
    contention_seconds: float = 0.008
    # How often the owner looks at a shard without work, and when another node leaves one.
    look_seconds: float = 1.0
    leave_seconds: float = 5.0
    feed: FeedLimits = FeedLimits()
    marks: MarkLimits = MarkLimits()
