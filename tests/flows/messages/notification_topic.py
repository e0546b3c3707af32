"""Reads the topic `offline-notifications` of a stack, as a push service in another process does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.event_log.ports import EventLog
from plaudit.event.v1.notification_events_pb2 import OfflineNotification
from tests.running import Stack

TOPIC = "offline-notifications"


class NotificationTopic:
    """See the module."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._position = 0
        self.found: list[OfflineNotification] = []
        """All that was read, in order."""

    async def until(
        self, holds: Callable[[list[OfflineNotification]], bool], seconds: float = 30
    ) -> list[OfflineNotification]:
        """Reads until the condition holds for all records; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not holds(self.found):
                await self._log.wait(TOPIC, self._position)
                for record in await self._log.read(TOPIC, self._position, 100):
                    found = OfflineNotification.FromString(record.payload)
                    assert record.key == found.idempotency_key
                    self.found.append(found)
                    self._position = record.position
        return self.found

    async def first_for(self, user: str, seconds: float = 30) -> OfflineNotification:
        """The first record for a recipient."""
        found = await self.until(lambda all_: any(one.recipient_id == user for one in all_), seconds)
        return next(one for one in found if one.recipient_id == user)

    def recipients(self) -> list[str]:
        """Of the records so far, in order."""
        return [one.recipient_id for one in self.found]


@asynccontextmanager
async def notification_topic(stack: Stack) -> AsyncIterator[NotificationTopic]:
    """The topic of a stack that was started, from the beginning."""
    async with open_sqlite_log(stack.data / "notifications.db") as log:
        yield NotificationTopic(log)
