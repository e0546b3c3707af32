"""What one shard of a ledger takes on."""

from __future__ import annotations

from typing import NamedTuple

from kit.ledger.lanes import FeedLimits, MarkLimits


class GatherLimits(NamedTuple):
    """How long commands wait for company where several were just answered, who soon bring the next."""

    # So many do not wait.
    few: int = 32
    # An answer of longer ago brings nobody any more.
    quiet_seconds: float = 0.005
    # Until none has come for so long, and for so long at most.
    gap_seconds: float = 0.003
    longest_seconds: float = 0.015


class ShardLimits(NamedTuple):
    """Times in seconds."""

    commands_at_once: int = 1_024
    commands_waiting: int = 32_768
    # Entries without their tables, and entries not published: above, nothing more is decided.
    unapplied: int = 64
    unpublished: int = 1_000_000
    gather: GatherLimits = GatherLimits()
    # Another node was first: a pause up to this before the next attempt, so that both get their turn.
    contention_seconds: float = 0.008
    # How often the owner looks at a shard without work, and when another node leaves one.
    look_seconds: float = 1.0
    leave_seconds: float = 5.0
    feed: FeedLimits = FeedLimits()
    marks: MarkLimits = MarkLimits()
