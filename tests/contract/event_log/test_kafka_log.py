"""What the event log in Kafka promises beyond the contract: partitions, many readers, limits, settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from kafka import KafkaProducer
from prometheus_client import REGISTRY

from kit.adapters.kafka.client import check_version, read_url, settings
from kit.adapters.kafka.event_log import KafkaLog, create_topics, open_kafka
from kit.adapters.kafka.readers import MAX_THREADS
from kit.adapters.kafka.topics import read_partitions
from kit.engine_url import CannotUse
from kit.errors import Invalid, Overloaded, Unavailable
from kit.event_log.ports import Record
from tests.engines import Engines
from tests.topics import topics

TOPICS = {"reactions": 3, "dead-letters": 1}


@pytest.fixture(name="url")
async def fixture_url(engines: Engines) -> AsyncIterator[str]:
    async with topics(engines.kafka(), TOPICS) as url:
        yield url


@pytest.fixture(name="log")
async def fixture_log(url: str) -> AsyncIterator[KafkaLog]:
    async with open_kafka(url, TOPICS) as log:
        yield log


async def all_of(log: KafkaLog, partition: int = 0, after: int = 0, limit: int = 100) -> list[Record]:
    """All records after a position, as a consumer reads them."""
    found: list[Record] = []
    while True:
        records = await log.read("reactions", found[-1].position if found else after, limit, partition)
        if not records:
            return found
        found += records


def payloads(records: Sequence[Record]) -> list[bytes]:
    return [record.payload for record in records]


async def test_partitions_do_not_mix_and_each_has_its_own_positions(log: KafkaLog) -> None:
    assert log.partitions("reactions") == 3
    for partition in range(3):
        for n in range(2):
            await log.append("reactions", "k", b"%d of %d" % (n, partition), partition)
    for partition in range(3):
        assert payloads(await all_of(log, partition)) == [b"%d of %d" % (n, partition) for n in range(2)]
        assert await log.bounds("reactions", partition) == (1, 2)
    with pytest.raises(Unavailable):
        await log.append("reactions", "k", b"x", 3)


async def test_records_appended_side_by_side_are_in_the_order_of_the_calls(log: KafkaLog) -> None:
    calls = [log.append("reactions", "k", b"%d" % n, n % 2) for n in range(1_000)]
    positions = await asyncio.gather(*calls)
    for partition in range(2):
        assert positions[partition::2] == list(range(1, 501))
        assert payloads(await all_of(log, partition)) == [b"%d" % n for n in range(partition, 1_000, 2)]


async def test_more_readers_than_windows_all_get_every_record(log: KafkaLog) -> None:
    sent = [b"%d" % n for n in range(600)]
    await asyncio.gather(*[log.append("reactions", "k", payload) for payload in sent])

    async def read(start: int, limit: int) -> list[bytes]:
        return payloads(await all_of(log, after=start, limit=limit))

    readers = [(n * 70, 1 + n * 13) for n in range(MAX_THREADS + 3)]
    found = await asyncio.gather(*[read(start, limit) for start, limit in readers])
    for (start, _), got in zip(readers, found, strict=True):
        assert got == sent[start:]


async def test_large_records_are_appended_and_a_too_large_one_is_refused(log: KafkaLog) -> None:
    big = [bytes([n]) * 900_000 for n in range(12)]  # more together than is read ahead
    await asyncio.gather(*[log.append("reactions", "k", payload) for payload in big])
    with pytest.raises(Invalid, match="larger than the log takes"):
        await log.append("reactions", "k", b"x" * 1_100_000)
    await log.append("reactions", "k", b"after")
    assert payloads(await all_of(log)) == [*big, b"after"]


async def test_records_of_other_programs_are_read_unchanged(log: KafkaLog, url: str) -> None:
    def stray() -> None:
        producer = KafkaProducer(**settings(read_url(url), "stranger"))
        topic = f"{read_url(url).name}.reactions"
        producer.send(topic, b"\xff\x00", None, partition=0)
        producer.send(topic, None, b"\xff", partition=0).get(5)
        producer.close()

    await asyncio.to_thread(stray)
    await log.append("reactions", "k", b"x")
    assert [(r.key, r.payload) for r in await all_of(log)] == [("", b"\xff\x00"), ("\ufffd", b""), ("k", b"x")]


async def test_above_the_limit_appends_are_refused_immediately(url: str) -> None:
    async with open_kafka(url, TOPICS, in_flight=2) as log:
        first = [asyncio.create_task(log.append("reactions", "k", b"x")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await log.append("reactions", "k", b"x")
        assert await asyncio.gather(*first) == [1, 2]
        assert await log.append("reactions", "k", b"x") == 3
    async with open_kafka(url, TOPICS, in_flight_bytes=100) as log:
        with pytest.raises(Overloaded):
            await log.append("reactions", "k", b"x" * 101)


async def test_a_reader_before_the_trimmed_position_continues_at_the_oldest_record(log: KafkaLog, url: str) -> None:
    await asyncio.gather(*[log.append("reactions", "k", b"%d" % n) for n in range(50)])
    async with open_kafka(url, TOPICS) as other:
        await other.trim("reactions", 31)
    assert await log.bounds("reactions") == (31, 50)
    assert payloads(await all_of(log, after=10)) == [b"%d" % n for n in range(30, 50)]


async def test_a_read_after_the_end_returns_nothing_and_waits_for_later_records(log: KafkaLog) -> None:
    await log.append("reactions", "k", b"1")
    assert await log.read("reactions", 2, 10) == []
    waiting = asyncio.create_task(log.wait("reactions", 2))
    await log.append("reactions", "k", b"2")
    await asyncio.sleep(0)
    assert not waiting.done()
    await log.append("reactions", "k", b"3")
    async with asyncio.timeout(5):
        await waiting
    assert payloads(await log.read("reactions", 2, 10)) == [b"3"]


def lag(group: str, partition: int) -> float | None:
    labels = {"topic": "reactions", "partition": str(partition), "group": group}
    return REGISTRY.get_sample_value("plaudit_log_lag_records", labels)


async def test_committed_positions_are_stored_for_others_and_their_lag_is_reported(log: KafkaLog, url: str) -> None:
    name = read_url(url).name
    await asyncio.gather(*[log.append("reactions", "k", b"x", 1) for _ in range(5)])
    assert await log.committed(name, "reactions", 1) is None
    await asyncio.gather(log.commit(name, "reactions", 2, 1), log.commit(name, "reactions", 0, 2))
    assert (lag(name, 1), lag(name, 2)) == (3, 0)
    log.leave(name, "reactions", 2)
    assert (lag(name, 1), lag(name, 2)) == (3, None)
    async with open_kafka(url, TOPICS) as other:
        assert [await other.committed(name, "reactions", n) for n in range(3)] == [None, 2, 0]


async def test_topics_are_created_once_with_the_options_of_the_url(engines: Engines) -> None:
    plain = engines.kafka()
    url = f"{plain}?partitions=5&retention_hours=1"
    would = await create_topics(url, TOPICS, check=True)
    assert [line.rpartition(".")[2] for line in would] == ["reactions, partitions: 5", "dead-letters, partitions: 1"]
    async with topics(url, TOPICS):
        assert await create_topics(url, TOPICS) == []
        async with open_kafka(url, TOPICS) as log, open_kafka(plain, TOPICS) as same:
            assert log.partitions("reactions") == same.partitions("reactions") == 5
        assert await read_partitions(plain, TOPICS) == {"reactions": 5, "dead-letters": 1}
        with pytest.raises(CannotUse, match="has 5 partitions, the URL says 6: their number cannot be changed"):
            await create_topics(f"{plain}?partitions=6", TOPICS)


async def refusal(url: str) -> str:
    with pytest.raises(CannotUse) as refused:
        async with open_kafka(url, TOPICS):
            pass
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


async def test_an_unusable_setting_is_refused_in_one_line(engines: Engines) -> None:
    url = engines.kafka()
    name = read_url(url).name
    assert await refusal(url) == f"Kafka has no topic {name}.reactions, {name}.dead-letters: run plaudit migrate"
    assert "does not answer" in await refusal("kafka://127.0.0.1:1/plaudit")
    assert "ends in a prefix" in await refusal("kafka://127.0.0.1:1")
    assert "without user and password" in await refusal("kafka://me:secret@127.0.0.1:1/plaudit")
    assert "unknown option colour" in await refusal("kafka://127.0.0.1:1/plaudit?colour=red")
    assert "partitions of the URL" in await refusal("kafka://127.0.0.1:1/plaudit?partitions=none")


def test_a_version_that_is_too_old_is_refused() -> None:
    check_version((3, 3))
    check_version((4, 1))
    with pytest.raises(CannotUse, match=r"^Kafka has version 2\.8; 3\.3 is the oldest"):
        check_version((2, 8))
