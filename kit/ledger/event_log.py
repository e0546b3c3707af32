"""Publishes the entries of each shard in the partition of its number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kit.event_log.ports import Appender
from kit.ledger.entry import Entry, EntryName


class ShardedEventLog:
    """See `kit.ledger.ports.LedgerEventLog`."""

    def __init__(self, log: Appender, topic: str, incarnation: str) -> None:
        self._log = log
        self._topic = topic
        self._incarnation = incarnation

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        """See `LedgerEventLog`. They are appended together: none overtakes one that failed, see `Appender`."""
        appending = [
            self._log.append(
                self._topic, str(EntryName(self._incarnation, shard, entry.position)), entry.payload, shard
            )
            for entry in entries
        ]
        for outcome in await asyncio.gather(*appending, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
