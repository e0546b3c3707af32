"""Who was notified of messages: reads the topic `offline-notifications`, in Kafka or in a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from kit.adapters.kafka.event_log import open_kafka
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.errors import Unavailable
from kit.event_log.ports import EventLog
from plaudit.event.v1.notification_events_pb2 import OfflineNotification
from tests.faults.messages.stored import Notified, StoredMessages
from tests.faults.system.cluster import Cluster

_TOPIC = "offline-notifications"
_PAUSE_SECONDS = 0.2


async def read_notifications(cluster: Cluster, state: StoredMessages, until: float) -> None:
    """Adds the notifications to the state, as soon as none is missing, or those of the time `until`."""
    async with _opened(cluster) as log:
        positions = dict.fromkeys(range(log.partitions(_TOPIC)), 0)
        while True:
            for partition, position in positions.items():
                with suppress(Unavailable):
                    for record in await log.read(_TOPIC, position, 1_000, partition):
                        found = OfflineNotification.FromString(record.payload)
                        state.notified.append(Notified(found.idempotency_key, found.msg_id, found.recipient_id))
                        positions[partition] = record.position
            if time.monotonic() > until or not state.not_notified():
                return
            await asyncio.sleep(_PAUSE_SECONDS)  # the pace of the reads


@asynccontextmanager
async def _opened(cluster: Cluster) -> AsyncIterator[EventLog]:
    if cluster.backends is None:
        async with open_sqlite_log(cluster.folder / "data" / "notifications.db") as log:
            yield log
    else:
        async with open_kafka(cluster.backends.settings["EVENTS"], {_TOPIC: 1}) as log:
            yield log
