"""Opens the engines that the settings name, and says which setting is wrong where one cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog

from kit.adapters.sqlite_log import open_sqlite_log
from kit.engines import Engines, Log
from kit.engineurl import CannotReach, CannotUse
from stack.settings.model import PREFIX, Settings
from stack.storage.schemas import TOPICS, schemas

if TYPE_CHECKING:
    from kit.adapters.cassandra import Cassandra
    from kit.adapters.redis import Redis

log = structlog.get_logger()


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Where an engine cannot be used within the block, says so of the setting that names it."""
    try:
        yield
    except CannotUse as error:
        raise type(error)(f"setting {PREFIX}{setting}: {error}") from None


async def open_redis_of(stack: AsyncExitStack, settings: Settings) -> Redis | None:
    """Redis, for as long as the stack; None where none is set. Raises CannotUse."""
    if not settings.hot:
        return None
    from kit.adapters.redis import open_redis

    with naming("HOT"):
        return await stack.enter_async_context(open_redis(settings.hot))


async def open_cassandra_of(stack: AsyncExitStack, settings: Settings) -> Cassandra | None:
    """Cassandra, for as long as the stack; None where none is set. Raises CannotUse."""
    if not settings.records:
        return None
    from kit.adapters.cassandra import open_cassandra

    with naming("RECORDS"):
        return await stack.enter_async_context(open_cassandra(settings.records, check=schemas()))


async def open_engines(
    stack: AsyncExitStack, settings: Settings, cassandra: Cassandra | None, redis: Redis | None
) -> Engines:
    """What services keep their data in, for as long as the stack; raises CannotUse, and NewerData for files."""
    return Engines(settings.data, await _log(stack, settings), cassandra, redis)


async def read_partitions(settings: Settings) -> Mapping[str, int]:
    """How many partitions each topic has, without opening the event log. Raises CannotReach and CannotUse."""
    if not settings.events:
        return dict.fromkeys(TOPICS, 1)
    from kit.adapters.kafka_topics import read_partitions as read_in_kafka

    with naming("EVENTS"):
        return await read_in_kafka(settings.events, TOPICS)


async def expected_partitions(settings: Settings) -> Callable[[str], int]:
    """How many partitions a topic has, for a process that only sends calls to the nodes that read it.

    While Kafka is away, what the URL says: a call that comes to a wrong node is forwarded. Raises CannotUse.
    """
    try:
        return (await read_partitions(settings)).__getitem__
    except CannotReach as error:
        from kit.adapters.kafka_client import read_url
        from kit.adapters.kafka_topics import wanted_partitions

        url = read_url(settings.events)
        log.warning("takes the number of shards from the URL", reason=str(error))
        return lambda topic: wanted_partitions(url, TOPICS[topic])


async def _log(stack: AsyncExitStack, settings: Settings) -> Log:
    if not settings.events:
        return await stack.enter_async_context(
            open_sqlite_log(settings.data / "reactions.db", ledgers=() if settings.records else ("reactions",))
        )
    from kit.adapters.kafka_log import open_kafka

    with naming("EVENTS"):
        return await stack.enter_async_context(open_kafka(settings.events, TOPICS))
