"""Topics in Kafka: created before the first start, checked at every start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient

from kit.adapters.kafka.client import describe, open_admin, read_url
from kit.engine_url import CannotUse, EngineUrl

_UNKNOWN_TOPIC = 3


def full_name(url: EngineUrl, topic: str) -> str:
    """The name of a topic on the server."""
    return f"{url.name}.{topic}"


def partitions_found(admin: KafkaAdminClient, url: EngineUrl, topics: Mapping[str, int]) -> dict[str, int]:
    """How many partitions each topic has; raises CannotUse where one is missing, or has another number than the URL."""
    found = _describe(admin, url, topics)
    missing = [topic for topic in topics if topic not in found]
    if missing:
        names = ", ".join(full_name(url, topic) for topic in missing)
        raise CannotUse(f"Kafka has no topic {names}: run plaudit migrate")
    _check_counts(url, topics, found)
    return found


async def create_topics(url: str, topics: Mapping[str, int], *, check: bool = False) -> list[str]:
    """Creates missing topics with that many partitions, and returns a line for each.

    The option `partitions` of the URL overrides the number of a topic that has more than one. `check`: only returns the
    lines. Raises CannotUse.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _create, read_url(url), topics, check)


async def read_partitions(url: str, topics: Mapping[str, int]) -> dict[str, int]:
    """As `partitions_found`, of Kafka at a URL; raises CannotReach, too."""
    return await asyncio.get_running_loop().run_in_executor(None, _read, read_url(url), topics)


def wanted_partitions(url: EngineUrl, count: int) -> int:
    """The number of partitions a topic is created with."""
    return url.whole("partitions", count) if count > 1 else count


def _read(url: EngineUrl, topics: Mapping[str, int]) -> dict[str, int]:
    admin = open_admin(url)
    try:
        return partitions_found(admin, url, topics)
    finally:
        admin.close()


def _create(url: EngineUrl, topics: Mapping[str, int], check: bool) -> list[str]:
    admin = open_admin(url)
    try:
        found = _describe(admin, url, topics)
        _check_counts(url, topics, found)
        missing = {full_name(url, topic): _spec(url, n) for topic, n in topics.items() if topic not in found}
        if missing and not check:
            admin.create_topics(missing, wait_for_metadata=True)
        return [f"Kafka topic {name}, partitions: {spec['num_partitions']}" for name, spec in missing.items()]
    except kafka_errors.TopicAlreadyExistsError:
        return []  # another process has just created it
    except kafka_errors.KafkaError as error:
        raise CannotUse(f"Kafka does not create the topics: {describe(error)}") from None
    finally:
        admin.close()


def _spec(url: EngineUrl, partitions: int) -> dict[str, Any]:
    replication = url.whole("replication", 1)
    configs = {
        "min.insync.replicas": url.whole("min_insync", max(1, replication - 1)),
        "retention.ms": url.whole("retention_hours", 168) * 3_600_000,
        "cleanup.policy": "delete",
    }
    return {
        "num_partitions": wanted_partitions(url, partitions),
        "replication_factor": replication,
        "configs": {name: str(value) for name, value in configs.items()},
    }


def _describe(admin: KafkaAdminClient, url: EngineUrl, topics: Mapping[str, int]) -> dict[str, int]:
    try:
        answers = {one["name"]: one for one in admin.describe_topics([full_name(url, topic) for topic in topics])}
    except kafka_errors.KafkaError as error:
        raise CannotUse(f"Kafka does not describe its topics: {describe(error)}") from None
    found: dict[str, int] = {}
    for topic in topics:
        answer = answers.get(full_name(url, topic), {"error_code": _UNKNOWN_TOPIC})
        if answer["error_code"] == 0:
            found[topic] = len(answer["partitions"])
        elif answer["error_code"] != _UNKNOWN_TOPIC:
            why = kafka_errors.for_code(answer["error_code"]).__name__
            raise CannotUse(f"the topic {full_name(url, topic)} cannot be used: {why}")
    return found


def _check_counts(url: EngineUrl, topics: Mapping[str, int], found: Mapping[str, int]) -> None:
    # Entries of a target must stay in one partition, so the number is fixed when the topic is created.
    for topic, count in found.items():
        wanted = wanted_partitions(url, topics[topic])
        if "partitions" in url.options and count != wanted:
            raise CannotUse(
                f"the topic {full_name(url, topic)} has {count} partitions, the URL says {wanted}: "
                "their number cannot be changed"
            )
