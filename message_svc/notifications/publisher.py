"""Writes notifications to the topic `offline-notifications`, with the names of the senders."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import structlog

from kit.errors import Problem
from kit.event_log.ports import Log
from kit.target import partition_of
from kit.tenant_keys import UserKey
from message_svc.metrics import NOTIFICATION_DECISIONS
from message_svc.notifications.ports import Names
from message_svc.notifications.rules import Notification

TOPIC = "offline-notifications"
log = structlog.get_logger()


class Encode(Protocol):
    """Encodes a notification with the name of the sender."""

    def __call__(self, notification: Notification, sender_name: str) -> bytes:
        """The payload of the record."""
        ...


class Publisher:
    """See the module. Those of one recipient are in one partition."""

    def __init__(self, event_log: Log, names: Names, encode: Encode) -> None:
        self._log = event_log
        self._names = names
        self._encode = encode
        self._partitions = event_log.partitions(TOPIC)

    async def publish(self, notifications: Sequence[Notification]) -> None:
        """Returns when they are durable.

        Raises what `kit.event_log.ports.Appender` raises; some of them may be durable then, and may be published again.
        """
        names = await self._sender_names(notifications)
        appends = [self._append(each, names[each.message.key[0], each.message.item.actor]) for each in notifications]
        for outcome in await asyncio.gather(*appends, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        for each in notifications:
            NOTIFICATION_DECISIONS.labels(each.reason.value).inc()

    async def _append(self, notification: Notification, sender_name: str) -> None:
        partition = partition_of(notification.message.key[0], notification.recipient, self._partitions)
        payload = self._encode(notification, sender_name)
        await self._log.append(TOPIC, notification.idempotency_key, payload, partition)

    async def _sender_names(self, notifications: Sequence[Notification]) -> dict[UserKey, str]:
        """The name of each sender; the id where no name is known, since a notification is worth more than a name."""
        senders: defaultdict[str, set[str]] = defaultdict(set)
        for each in notifications:
            senders[each.message.key[0]].add(each.message.item.actor)
        found: dict[UserKey, str] = {}
        for tenant, users in senders.items():
            try:
                names = await self._names.display_names(tenant, users)
            except Problem as problem:
                log.warning("names of senders are unknown", reason=str(problem))
                names = {}
            found.update({(tenant, user): names.get(user) or user for user in users})
        return found
