"""Opens the engines that the settings name, and says which setting is wrong where one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from kit.adapters.sqlite_log import open_sqlite_log
from kit.engines import Engines, Log
from kit.engineurl import CannotUse
from stack.config import PREFIX, Settings
from stack.schemas import TOPICS, schemas

if TYPE_CHECKING:
    from kit.adapters.redis import Redis


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Where an engine cannot be used within the block, says so of the setting that names it."""
    try:
        yield
    except CannotUse as error:
        raise CannotUse(f"setting {PREFIX}{setting}: {error}") from None


async def open_redis_of(stack: AsyncExitStack, settings: Settings) -> Redis | None:
    """Redis, for as long as the stack; None where none is set. Raises CannotUse."""
    if not settings.hot:
        return None
    from kit.adapters.redis import open_redis

    with naming("HOT"):
        return await stack.enter_async_context(open_redis(settings.hot))


async def open_engines(stack: AsyncExitStack, settings: Settings, redis: Redis | None) -> Engines:
    """What rooms keep their data in, for as long as the stack; raises CannotUse, and NewerData for files."""
    cassandra = None
    if settings.records and "reaction_svc" in settings.rooms:
        from kit.adapters.cassandra import open_cassandra

        with naming("RECORDS"):
            cassandra = await stack.enter_async_context(open_cassandra(settings.records, check=schemas()))
    return Engines(settings.data, await _log(stack, settings), cassandra, redis)


async def _log(stack: AsyncExitStack, settings: Settings) -> Log:
    if not settings.events:
        return await stack.enter_async_context(open_sqlite_log(settings.data / "reactions.db"))
    from kit.adapters.kafka_log import open_kafka

    with naming("EVENTS"):
        return await stack.enter_async_context(open_kafka(settings.events, TOPICS))
