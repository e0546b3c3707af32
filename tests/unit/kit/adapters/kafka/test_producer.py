"""The order of records on Kafka when some of them fail: the library's producer is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import pytest
from kafka import TopicPartition

from kit.adapters.kafka import producer as module
from kit.adapters.kafka.client import read_url
from kit.adapters.kafka.producer import Producer
from kit.errors import Overloaded, Problem, Unavailable

AT = TopicPartition("t", 0)


class Sent:
    """A record that the broker has taken at once."""

    offset = 0

    def add_callback(self, written: Callable[[Any], None]) -> None:
        written(self)

    def add_errback(self, failed: Callable[[BaseException], None]) -> None:
        """It does not fail."""


class Session:
    """A producer of the library; `log` has what it wrote."""

    def __init__(self, log: list[bytes]) -> None:
        self._log = log
        self._accumulator = self._sender = self

    def send(self, topic: str, payload: bytes, key: bytes, partition: int) -> Sent:
        self._log.append(payload)
        return Sent()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None  # how it ends


class Kafka:
    """Connections are refused for a while."""

    def __init__(self) -> None:
        self.refusals = 0
        self.log: list[bytes] = []

    def connected(self, *_: object, **__: object) -> Session:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("connection refused")
        return Session(self.log)


@pytest.fixture(name="kafka")
def fixture_kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(module, "connected", kafka.connected)
    return kafka


@pytest.fixture(name="producer")
async def fixture_producer(kafka: Kafka) -> AsyncIterator[Producer]:
    with closing(Producer(read_url("kafka://127.0.0.1:1/p"), ["t"], records=100, size=100)) as producer:
        yield producer


async def append(producer: Producer, *payloads: bytes) -> list[type[BaseException] | None]:
    """Appends records together; the error of each, or None."""
    appending = [producer.append(AT, b"", payload) for payload in payloads]
    outcomes = await asyncio.gather(*appending, return_exceptions=True)
    return [type(each) if isinstance(each, Problem) else None for each in outcomes]


async def test_no_record_is_written_after_one_that_could_not_be_sent(kafka: Kafka, producer: Producer) -> None:
    kafka.refusals = 1
    assert await append(producer, b"1", b"2", b"3") == [Unavailable] * 3
    assert kafka.log == []
    assert await append(producer, b"1", b"2", b"3") == [None] * 3
    assert kafka.log == [b"1", b"2", b"3"]


async def test_a_small_record_is_refused_after_a_large_one_that_does_not_fit(kafka: Kafka, producer: Producer) -> None:
    large = b"x" * 60
    assert await append(producer, large, large, large, b"small") == [None, None, Overloaded, Overloaded]
    assert kafka.log == [large, large]
