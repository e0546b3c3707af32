"""Deletes old notifications from a file; a topic of Kafka has a retention of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kit.clock import Clock
from kit.event_log.ports import EventLog
from message_svc.notifications.publisher import TOPIC

_PAUSE_SECONDS = 60.0


async def run_retention(log: EventLog, time_of: Callable[[bytes], int], clock: Clock, hours: float) -> None:
    """Deletes notifications older than `hours`, whether somebody has read them or not; never returns.

    `time_of` returns the time of a record's payload, milliseconds since 1970.
    """
    while True:
        await delete_before(log, time_of, int((clock.now() - hours * 3600) * 1000))
        await asyncio.sleep(_PAUSE_SECONDS)


async def delete_before(log: EventLog, time_of: Callable[[bytes], int], oldest_ms: int) -> None:
    """Deletes the notifications before the first one of that time or later; the newest always stays.

    The times of records grow with their positions, apart from the seconds for which a message may wait.
    """
    low, high = await log.bounds(TOPIC)
    while low < high:
        middle = (low + high) // 2
        (record,) = await log.read(TOPIC, middle - 1, 1)
        if time_of(record.payload) < oldest_ms:
            low = record.position + 1
        else:
            high = middle
    await log.trim(TOPIC, low)
