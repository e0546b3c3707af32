"""Prints the notifications of members whom a message has not reached, as JSON; a push service would send them.

python examples/offline_notifications.py data                              # of plaudit up without engines
python examples/offline_notifications.py kafka://127.0.0.1:9092/plaudit    # as in PLAUDIT_EVENTS
"""

import asyncio
import sys
from pathlib import Path

from google.protobuf.json_format import MessageToJson

from kit.adapters.kafka.event_log import open_kafka
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.event_log.ports import EventLog
from plaudit.event.v1.notification_events_pb2 import OfflineNotification

TOPIC = "offline-notifications"


async def follow(log: EventLog, partition: int) -> None:
    position, seen = 0, set[str]()  # a service stores both; records are at least once
    while True:
        await log.wait(TOPIC, position, partition)
        for record in await log.read(TOPIC, position, 100, partition):
            position = record.position
            if record.key not in seen:
                seen.add(record.key)
                found = OfflineNotification.FromString(record.payload)
                print(MessageToJson(found, preserving_proto_field_name=True, indent=None), flush=True)


async def main(place: str = "data") -> None:
    is_kafka = place.startswith("kafka://")
    async with open_kafka(place, {TOPIC: 1}) if is_kafka else open_sqlite_log(Path(place) / "notifications.db") as log:
        await asyncio.gather(*(follow(log, partition) for partition in range(log.partitions(TOPIC))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
