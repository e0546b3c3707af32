"""The event log in Kafka: a position is an offset + 1, and `prefix.topic` is the name of a topic there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from kit.adapters.kafka.client import Client, open_admin, places, read_url
from kit.adapters.kafka.offsets import Offsets
from kit.adapters.kafka.producer import Producer
from kit.adapters.kafka.readers import Readers
from kit.adapters.kafka.topics import create_topics, full_name, partitions_found
from kit.engine_url import CannotUse, EngineUrl
from kit.errors import Unavailable
from kit.event_log.ports import Record
from kit.tasks import background

__all__ = ["KafkaLog", "create_topics", "open_kafka"]
_FETCH_SECONDS = 5.0
_LOOK_SECONDS = 0.25


class KafkaLog:
    """See `kit.event_log.ports`: `EventLog`, `Appender` and `ConsumerOffsets`. Made by `open_kafka`; one serves a whole
    process."""

    def __init__(
        self, url: EngineUrl, partitions: Mapping[str, int], producer: Producer, offsets: Offsets, readers: Readers
    ) -> None:
        self._url = url
        self._partitions = dict(partitions)
        self._producer = producer
        self._offsets = offsets
        self._readers = readers

    def partitions(self, topic: str) -> int:
        """See `EventLog`."""
        return self._partitions[topic]

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """See `Appender`."""
        self._offsets.check()
        at = self._at(topic, partition)
        offset = await self._producer.append(at, key.encode(), payload)
        self._offsets.at_least(at, offset + 1)
        return offset + 1

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """See `EventLog`. What another process appended a moment ago may not be seen yet; `bounds` knows of it."""
        at = self._at(topic, partition)
        until = time.monotonic() + _FETCH_SECONDS
        while True:
            window = self._readers.find(at, after)
            if window is not None:
                records = window.take(after, limit, time.monotonic())
                self._readers.taken(at, window)
                if records:
                    return records
            self._offsets.check()
            if window is None:
                if await self._readers.enter(at, after) is None:
                    return []
            elif self._offsets.ends.get(at, 0) <= window.high:
                return []
            elif time.monotonic() > until:
                raise Unavailable("the log is slow to answer", retry_after=0.5)
            else:
                await window.grown(_FETCH_SECONDS)

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """See `EventLog`."""
        at = self._at(topic, partition)
        while True:
            window = self._readers.find(at, after)
            if window is not None and window.high > after:
                return
            self._offsets.check()
            if window is not None:
                await window.grown()
            elif await self._readers.enter(at, after, beyond=True) is None:
                await asyncio.sleep(_LOOK_SECONDS)  # after the end: very rare, only after the log was replaced

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """See `EventLog`. Where retention has taken everything, both are the last position."""
        begin, end = await self._offsets.span(self._at(topic, partition))
        return min(begin + 1, end), end

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """See `EventLog`."""
        at = self._at(topic, partition)
        begin, end = await self._offsets.span(at)
        offset = min(before, end) - 1
        if offset > begin:
            await self._offsets.delete_before(at, offset)
            self._readers.trimmed(at, offset + 1)

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """See `ConsumerOffsets`."""
        return await self._offsets.committed(group, self._at(topic, partition))

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """See `ConsumerOffsets`. They are Kafka's own offsets of consumer groups."""
        await self._offsets.commit(group, self._at(topic, partition), position)

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """See `ConsumerOffsets`."""
        self._offsets.forget(group, self._at(topic, partition))

    def _at(self, topic: str, partition: int) -> TopicPartition:
        if not 0 <= partition < self._partitions.get(topic, 0):
            raise Unavailable(f"the log has no partition {partition} of the topic {topic}")
        return TopicPartition(full_name(self._url, topic), partition)


@asynccontextmanager
async def open_kafka(
    url: str, topics: Mapping[str, int], *, in_flight: int = 10_000, in_flight_bytes: int = 64 << 20
) -> AsyncIterator[KafkaLog]:
    """Opens the topics of the URL `kafka://host:port/prefix`, which `create_topics` has made.

    At most `in_flight` records of `in_flight_bytes` together are on their way; above, appends raise Overloaded. Raises
    CannotUse where Kafka cannot be reached, is too old, or a topic is missing or has another number of partitions than
    the URL says.
    """
    found = read_url(url)
    admin: Client[KafkaAdminClient] = Client("kafka-admin", lambda: open_admin(found), KafkaAdminClient.close)
    try:
        partitions = await admin.call(lambda client: partitions_found(client, found, topics))
    except BaseException as error:
        await admin.close()
        if isinstance(error, Unavailable):
            raise CannotUse(f"Kafka at {places(found)} does not answer: {error}") from None
        raise
    every = [TopicPartition(full_name(found, topic), n) for topic, count in partitions.items() for n in range(count)]
    offsets = Offsets(found, admin, every)
    producer = Producer(found, {at.topic for at in every}, in_flight, in_flight_bytes)
    readers = Readers(found, offsets)

    def availability_changed(down: bool) -> None:
        if down:
            producer.give_up("Kafka does not answer")
            readers.fail(Unavailable("the log does not answer", retry_after=0.5))

    offsets.on_availability = availability_changed
    try:
        async with background(offsets.watch(), readers.sweep()):
            yield KafkaLog(found, partitions, producer, offsets, readers)
    finally:
        with suppress(asyncio.CancelledError):
            await readers.close()
            await offsets.close()
            await asyncio.to_thread(producer.close)
