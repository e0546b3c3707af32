"""Follows the log of conversations, and drops what is remembered of those whose members or messages change."""

from __future__ import annotations

import asyncio

from kit.access import codec
from kit.access.cache import AccessCache
from kit.event_log.ports import EventLog

TOPIC = "messages"
_RECORDS_AT_ONCE = 32


class AccessFollower:
    """Reads all partitions from their ends on, for one cache.

    While it reads, answers are kept for `seconds`; while it cannot, only for `blind_seconds`.
    """

    def __init__(self, event_log: EventLog, cache: AccessCache, *, seconds: float, blind_seconds: float) -> None:
        self._log = event_log
        self._cache = cache
        self._seconds = seconds
        self._blind_seconds = blind_seconds

    async def run(self) -> None:
        """Reads until the log fails or it is cancelled."""
        partitions = range(self._log.partitions(TOPIC))
        try:
            positions = [(await self._log.bounds(TOPIC, partition))[1] for partition in partitions]
            # What changed before the first read is not known.
            self._cache.clear()
            self._cache.seconds = self._seconds
            async with asyncio.TaskGroup() as group:
                for partition, position in zip(partitions, positions, strict=True):
                    group.create_task(self._follow(partition, position))
        finally:
            self._cache.seconds = self._blind_seconds
            self._cache.clear()

    async def _follow(self, partition: int, position: int) -> None:
        while True:
            records = await self._log.read(TOPIC, position, _RECORDS_AT_ONCE, partition)
            for record in records:
                try:
                    for changed in codec.changed_from_record(record):
                        self._cache.invalidate(*changed)
                except codec.Undecodable:
                    # Another reader of the log reports it.
                    self._cache.clear()
                position = record.position
            if not records:
                await self._log.wait(TOPIC, position, partition)
