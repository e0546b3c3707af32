"""Writes notifications to the topic `offline-notifications`, with the names of the senders."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Protocol

import structlog

from kit.clock import Clock
from kit.errors import Problem
from kit.event_log.ports import Log
from kit.target import partition_of
from kit.tenant_keys import TargetKey, UserKey
from message_svc.metrics import NOTIFICATION_DECISIONS
from message_svc.notifications.ports import Names
from message_svc.notifications.rules import Notification

TOPIC = "offline-notifications"
PAUSE_SECONDS = 1.0
"""The time between two notifications of a conversation for an absent member."""
log = structlog.get_logger()


class Encode(Protocol):
    """Encodes a notification with the name of the sender."""

    def __call__(self, notification: Notification, sender_name: str) -> bytes:
        """The payload of the record."""
        ...


class Publisher:
    """See the module. Those of one recipient are in one partition."""

    def __init__(self, event_log: Log, names: Names, encode: Encode, clock: Clock) -> None:
        self._log = event_log
        self._names = names
        self._encode = encode
        self._clock = clock
        self._partitions = event_log.partitions(TOPIC)
        # When each member was last notified of a conversation, the latest one last; the last second of it.
        self._published: OrderedDict[tuple[TargetKey, str], float] = OrderedDict()

    def next_time(self, key: TargetKey, user: str) -> float:
        """From when on, by the monotonic clock, a member may be notified of a conversation again; 0: now.

        In a group with many messages a second and many absent members, each of them is notified once a second.
        """
        self._forget_old()
        published = self._published.get((key, user))
        return 0.0 if published is None else published + PAUSE_SECONDS

    async def publish(self, notifications: Sequence[Notification]) -> None:
        """Returns when they are durable.

        Raises what `kit.event_log.ports.Appender` raises; some of them may be durable then, and may be published again.
        """
        names = await self._sender_names(notifications)
        appends = [self._append(each, names[each.message.key[0], each.message.item.actor]) for each in notifications]
        for outcome in await asyncio.gather(*appends, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        now = self._clock.monotonic()
        for each in notifications:
            NOTIFICATION_DECISIONS.labels(each.reason.value).inc()
            self._published[each.message.key, each.recipient] = now
            self._published.move_to_end((each.message.key, each.recipient))
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - PAUSE_SECONDS
        while self._published and next(iter(self._published.values())) <= oldest:
            self._published.popitem(last=False)

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
