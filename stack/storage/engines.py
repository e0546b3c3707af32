"""Opens the engines of the settings; an error names the setting whose engine cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog

from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.engine_url import CannotReach, CannotUse
from kit.event_log.ports import Log
from stack.settings.model import PREFIX, Settings
from stack.storage.schemas import TOPICS, postgres_schemas, schemas

if TYPE_CHECKING:
    from kit.adapters.cassandra.engine import Cassandra
    from kit.adapters.postgres.engine import Postgres
    from kit.adapters.redis.engine import Redis

log = structlog.get_logger()


@contextmanager
def naming_setting(setting: str) -> Iterator[None]:
    """Prefixes a CannotUse of the block with the name of the setting."""
    try:
        yield
    except CannotUse as error:
        raise type(error)(f"setting {PREFIX}{setting}: {error}") from None


async def open_redis_of(stack: AsyncExitStack, settings: Settings) -> Redis | None:
    """Opens Redis until the stack closes; None if none is set. Raises CannotUse."""
    if not settings.hot:
        return None
    from kit.adapters.redis.engine import open_redis

    with naming_setting("HOT"):
        return await stack.enter_async_context(open_redis(settings.hot))


async def open_cassandra_of(stack: AsyncExitStack, settings: Settings) -> Cassandra | None:
    """Opens Cassandra until the stack closes; None if none is set. Raises CannotUse."""
    if not settings.records:
        return None
    from kit.adapters.cassandra.engine import open_cassandra

    with naming_setting("RECORDS"):
        return await stack.enter_async_context(open_cassandra(settings.records, check=schemas()))


async def open_postgres_of(stack: AsyncExitStack, settings: Settings) -> Postgres | None:
    """Opens PostgreSQL until the stack closes; None if none is set. Raises CannotUse."""
    if not settings.users:
        if settings.is_shared:
            log.warning("users are in a file of this node: several nodes of message_svc need PLAUDIT_USERS")
        return None
    from kit.adapters.postgres.engine import open_postgres

    with naming_setting("USERS"):
        return await stack.enter_async_context(open_postgres(settings.users, check=postgres_schemas()))


async def open_engines(
    stack: AsyncExitStack,
    settings: Settings,
    cassandra: Cassandra | None,
    redis: Redis | None,
    grace_seconds: Callable[[], float],
) -> Engines:
    """Opens the event log until the stack closes; raises CannotUse, and NewerData for files.

    `grace_seconds` returns, once the stack closes, how many seconds the close of a file may take.
    """
    log_ = await _open_log(stack, settings, grace_seconds)
    message_log = await _open_message_log(stack, settings, log_, grace_seconds)
    notification_log = await _open_notification_log(stack, settings, log_, grace_seconds)
    postgres = await open_postgres_of(stack, settings) if "message_svc" in settings.services else None
    return Engines(settings.data, log_, cassandra, redis, message_log, notification_log, postgres)


async def read_partitions(settings: Settings) -> Mapping[str, int]:
    """The number of partitions of each topic, read without opening the event log. Raises CannotReach and CannotUse."""
    if not settings.events:
        return dict.fromkeys(TOPICS, 1)
    from kit.adapters.kafka.topics import read_partitions as read_in_kafka

    with naming_setting("EVENTS"):
        return await read_in_kafka(settings.events, TOPICS)


async def expected_partitions(settings: Settings) -> Callable[[str], int]:
    """The number of partitions of a topic, for a process that only routes calls to its consumers.

    If Kafka is unreachable, the number in the URL: a call that reaches a wrong node is forwarded. Raises CannotUse.
    """
    try:
        return (await read_partitions(settings)).__getitem__
    except CannotReach as error:
        from kit.adapters.kafka.client import read_url
        from kit.adapters.kafka.topics import wanted_partitions

        url = read_url(settings.events)
        log.warning("Kafka is unreachable, the number of shards comes from the URL", reason=str(error))
        return lambda topic: wanted_partitions(url, TOPICS[topic])


async def _open_message_log(
    stack: AsyncExitStack, settings: Settings, event_log: Log, grace_seconds: Callable[[], float]
) -> Log | None:
    if not {"message_svc", "fanout_svc"} & set(settings.services):
        return None
    if settings.records or settings.events:
        return event_log
    # A file of their own: two ledgers in one file would wait for each other's commits.
    return await stack.enter_async_context(
        open_sqlite_log(settings.data / "messages.db", ledgers=("messages",), grace_seconds=grace_seconds)
    )


async def _open_notification_log(
    stack: AsyncExitStack, settings: Settings, event_log: Log, grace_seconds: Callable[[], float]
) -> Log | None:
    if "message_svc" not in settings.services:
        return None
    if settings.events:
        return event_log
    # A file of their own, too: messages do not wait for notifications of earlier ones.
    return await stack.enter_async_context(
        open_sqlite_log(settings.data / "notifications.db", stores_offsets=True, grace_seconds=grace_seconds)
    )


async def _open_log(stack: AsyncExitStack, settings: Settings, grace_seconds: Callable[[], float]) -> Log:
    if not settings.events:
        ledgers = () if settings.records else ("reactions",)
        return await stack.enter_async_context(
            open_sqlite_log(settings.data / "reactions.db", ledgers=ledgers, grace_seconds=grace_seconds)
        )
    from kit.adapters.kafka.event_log import open_kafka

    with naming_setting("EVENTS"):
        return await stack.enter_async_context(open_kafka(settings.events, TOPICS))
