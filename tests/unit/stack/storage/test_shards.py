"""The number of shards is that of the topic's partitions, for processes that route, serve or copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.adapters.cassandra import engine as cassandra
from kit.adapters.cassandra import schema as cassandra_schema
from kit.adapters.kafka import topics as kafka_topics
from kit.engine_url import CannotReach, CannotUse
from reaction_svc.adapters import cassandra_upgrade
from stack.settings.model import Settings
from stack.storage.engines import expected_partitions
from stack.storage.migrate import migrate
from stack.storage.schemas import LEDGER_TOPICS, TOPICS, shard_counts

URL = "kafka://k1:9092/plaudit"
# Topics of more than one partition were created with 16.
THERE_BEFORE = {f"plaudit.{topic}": 16 if count > 1 else 1 for topic, count in TOPICS.items()}


class Broker:
    """Kafka's admin client, with topics of so many partitions."""

    def __init__(self) -> None:
        self.topics: dict[str, int] = {}

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"name": name, "error_code": 0, "partitions": [{}] * self.topics[name]}
            for name in names
            if name in self.topics
        ]

    def create_topics(self, topics: Mapping[str, Mapping[str, Any]], *, wait_for_metadata: bool) -> None:
        self.topics |= {name: spec["num_partitions"] for name, spec in topics.items()}

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(name="broker")
def fixture_broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(kafka_topics, "open_admin", lambda url: broker)
    return broker


@pytest.fixture(name="copied")
def fixture_copied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With how many shards the records of a Cassandra of the version before were copied."""
    copied: list[int] = []

    @asynccontextmanager
    async def opened(url: str, **_: Any) -> AsyncIterator[None]:
        yield None

    async def make(*_: Any, **__: Any) -> list[str]:
        return []

    async def needs(_: Any) -> bool:
        return True

    async def copy(_: Any, shards: int, op_seconds: float) -> None:
        copied.append(shards)

    monkeypatch.setattr(cassandra, "open_cassandra", opened)
    monkeypatch.setattr(cassandra_schema, "migrate", make)
    monkeypatch.setattr(cassandra_upgrade, "needs_upgrade", needs)
    monkeypatch.setattr(cassandra_upgrade, "upgrade", copy)
    return copied


def on_engines(events: str = URL) -> Settings:
    return Settings.model_validate(
        {"records": "cassandra://c1:9042/plaudit", "hot": "redis://r1:6379/0", "events": events}
    )


async def test_the_number_of_shards_is_that_of_an_existing_topic(broker: Broker) -> None:
    broker.topics = dict(THERE_BEFORE)
    assert shard_counts(await expected_partitions(on_engines())) == dict.fromkeys(LEDGER_TOPICS, 16)


async def test_a_topic_that_differs_from_the_url_is_refused_with_both_numbers(broker: Broker) -> None:
    broker.topics = dict(THERE_BEFORE)
    with pytest.raises(CannotUse, match=r"EVENTS: the topic plaudit\.reactions has 16 partitions, the URL says 8"):
        await expected_partitions(on_engines(f"{URL}?partitions=8"))


@pytest.mark.parametrize(("url", "shards"), [(URL, TOPICS["reactions"]), (f"{URL}?partitions=4", 4)])
async def test_while_kafka_is_unavailable_the_number_of_shards_is_that_of_the_url(
    monkeypatch: pytest.MonkeyPatch, url: str, shards: int
) -> None:
    def away(_: Any) -> Any:
        raise CannotReach("nobody answers")

    monkeypatch.setattr(kafka_topics, "open_admin", away)
    assert shard_counts(await expected_partitions(on_engines(url))) == dict.fromkeys(LEDGER_TOPICS, shards)


async def test_a_file_has_one_shard() -> None:
    assert shard_counts(await expected_partitions(Settings.model_validate({}))) == dict.fromkeys(LEDGER_TOPICS, 1)


@pytest.mark.parametrize(
    ("topics", "shards"),
    [
        (dict(THERE_BEFORE), 16),
        ({}, TOPICS["reactions"]),
    ],
    ids=["there before", "made now"],
)
async def test_records_are_copied_into_as_many_shards_as_the_topic_has_partitions(
    broker: Broker, copied: list[int], topics: dict[str, int], shards: int
) -> None:
    broker.topics = topics
    done = await migrate(on_engines())
    assert copied == [shards]
    assert done[-1] == "records and answers of the version before"


async def test_a_check_prints_what_is_missing_and_copies_nothing(broker: Broker, copied: list[int]) -> None:
    done = await migrate(on_engines(), check=True)
    assert (copied, broker.topics) == ([], {})
    assert len(done) == len(TOPICS) + 1
