"""The event log in Kafka while its broker is unavailable: it fails at once, and recovers by itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import engines
from engines import Server
from kit.adapters.kafka.event_log import KafkaLog, create_topics, open_kafka
from kit.errors import OutcomeUnknown, Unavailable
from kit.event_log.ports import Record
from tests.engines import unavailable

pytestmark = pytest.mark.timeout(300)  # a broker takes its time to start where others start theirs
TOPICS = {"reactions": 2}
# A second by design; the machine may be busy.
AT_ONCE = 2.5


@pytest.fixture(name="broker", scope="module")
def fixture_broker() -> Iterator[Server]:
    """A broker that may be stopped."""
    try:
        with engines.running(["kafka"]) as servers:
            yield servers["kafka"]
    except engines.Missing as error:
        unavailable(str(error))


@pytest.fixture(name="log")
async def fixture_log(broker: Server, request: pytest.FixtureRequest) -> AsyncIterator[KafkaLog]:
    url = f"kafka://127.0.0.1:{broker.port}/{request.node.name[:40]}"
    await create_topics(url, TOPICS)
    async with open_kafka(url, TOPICS) as log:
        yield log


async def refused(call: Callable[[], Awaitable[Any]], *errors: type[Exception]) -> None:
    """The call must fail, and soon."""
    began = time.monotonic()
    with pytest.raises(errors or (Unavailable,)):
        await call()
    assert time.monotonic() - began < AT_ONCE


async def again(call: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """The call must succeed by itself in time."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(Unavailable, OutcomeUnknown):
                return await call()
            await asyncio.sleep(0.01)


async def all_of(log: KafkaLog) -> list[Record]:
    found: list[Record] = []
    _, last = await log.bounds("reactions")
    while not found or found[-1].position < last:
        found += await log.read("reactions", found[-1].position if found else 0, 100)
    return found


class Writer:
    """Appends one record after the other, each until it is acked, as an outbox does."""

    def __init__(self, log: KafkaLog) -> None:
        self.log = log
        self.acked: list[tuple[int, bytes]] = []
        self.unknown = 0
        self._stopped = False

    async def run(self) -> None:
        n = 0
        while not self._stopped:
            payload = b"%d" % n
            try:
                self.acked.append((await self.log.append("reactions", "k", payload), payload))
                n += 1
            except OutcomeUnknown:
                self.unknown += 1
            except Unavailable:
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        self._stopped = True

    async def until(self, acked: int) -> None:
        async with asyncio.timeout(30):
            while len(self.acked) < acked:  # noqa: ASYNC110 - both ends of a race, in one loop
                await asyncio.sleep(0.001)

    async def check(self) -> None:
        """All that was acked is there, in order; what is there twice was unknown once."""
        found = {record.position: record.payload for record in await again(lambda: all_of(self.log))}
        assert all(found[position] == payload for position, payload in self.acked)
        numbers = [int(payload) for _, payload in sorted(found.items())]
        assert numbers == sorted(numbers)
        assert len(numbers) - len(set(numbers)) <= self.unknown


async def test_while_the_broker_is_down_every_call_fails_immediately_and_succeeds_afterwards(
    broker: Server, log: KafkaLog
) -> None:
    last = await log.append("reactions", "k", b"before")
    assert len(await log.read("reactions", 0, 10)) == 1
    threads = threading.active_count()
    waiting = asyncio.create_task(log.wait("reactions", last))
    await asyncio.sleep(0)
    await asyncio.to_thread(broker.stop)
    try:
        await refused(lambda: waiting)
        await refused(lambda: log.append("reactions", "k", b"x"), Unavailable, OutcomeUnknown)
        await refused(lambda: log.append("reactions", "k", b"x"))
        await refused(lambda: log.read("reactions", last, 10))
        await refused(lambda: log.wait("reactions", last))
        await refused(lambda: log.bounds("reactions", 1))
        await refused(lambda: log.commit("g", "reactions", last))
    finally:
        await asyncio.to_thread(broker.start)
    position = await again(lambda: log.append("reactions", "k", b"after"))
    await again(lambda: log.wait("reactions", position - 1))
    assert [r.payload for r in await again(lambda: log.read("reactions", position - 1, 10))] == [b"after"]
    await again(lambda: log.commit("g", "reactions", position))
    assert await log.committed("g", "reactions") == position
    assert threading.active_count() <= threads + 1


async def test_acked_changes_survive_a_kill_and_restart_of_the_broker(broker: Server, log: KafkaLog) -> None:
    writer = Writer(log)
    writing = asyncio.create_task(writer.run())
    await writer.until(50)
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    await writer.until(len(writer.acked) + 50)
    writer.stop()
    await writing
    await writer.check()


async def test_a_broker_that_hangs_is_detected_and_no_record_is_lost(broker: Server, log: KafkaLog) -> None:
    writer = Writer(log)
    writing = asyncio.create_task(writer.run())
    await writer.until(50)
    broker.pause()
    try:
        await refused(lambda: log.bounds("reactions"))
        await refused(lambda: log.append("reactions", "k", b"0"))
    finally:
        broker.resume()
    await writer.until(len(writer.acked) + 50)
    writer.stop()
    await writing
    await writer.check()


async def test_a_reader_that_starts_while_the_broker_is_down_reads_once_the_broker_is_up(
    broker: Server, log: KafkaLog
) -> None:
    await log.append("reactions", "k", b"x", 1)
    threads = threading.active_count()
    await asyncio.to_thread(broker.stop)
    try:
        await refused(lambda: log.bounds("reactions"))
        await refused(lambda: log.read("reactions", 0, 10, 1))
        assert threading.active_count() <= threads + 1
    finally:
        await asyncio.to_thread(broker.start)
    assert [r.payload for r in await again(lambda: log.read("reactions", 0, 10, 1))] == [b"x"]
