"""Limits and times of one shard of a ledger."""

from __future__ import annotations

from typing import NamedTuple

from kit.ledger.shard.entry_publisher import PublishLimits
from kit.ledger.shard.watermark_saver import WatermarkLimits


class LingerLimits(NamedTuple):
    """How long a small batch waits for more commands, where callers were just answered and soon send the next."""

    # A batch of so many commands does not wait.
    few: int = 32
    # Callers answered longer ago than this are not waited for.
    quiet_seconds: float = 0.005
    # The wait ends when no command has arrived for `gap_seconds`, and after `longest_seconds`.
    gap_seconds: float = 0.003
    longest_seconds: float = 0.015


class ShardLimits(NamedTuple):
    """Times in seconds."""

    batch_commands: int = 1_024
    queued_commands: int = 32_768
    # Above these numbers nothing more is decided.
    unapplied_entries: int = 64
    unpublished_entries: int = 1_000_000
    linger: LingerLimits = LingerLimits()
    # After losing against an append of another node: the longest pause, so that both nodes make progress.
    contention_seconds: float = 0.008
    # How often the last position of an idle shard is read, and after how long an unassigned one is released.
    tail_poll_seconds: float = 1.0
    release_seconds: float = 5.0
    publish: PublishLimits = PublishLimits()
    watermarks: WatermarkLimits = WatermarkLimits()
