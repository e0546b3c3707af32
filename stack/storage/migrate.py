"""Creates keyspace, tables and topics and copies the data of older versions, or lists what is missing."""

from __future__ import annotations

from reaction_svc.retention import LEDGER
from stack.settings.model import Settings
from stack.storage.engines import naming_setting, read_partitions
from stack.storage.schemas import TOPICS, postgres_schemas, schemas


async def migrate(settings: Settings, *, check: bool = False) -> list[str]:
    """Returns a line for each thing created; with `check`, for each thing missing. Raises CannotUse."""
    users = await _create_users(settings, check) if settings.users else []
    tables = await _create_tables(settings, check) if settings.records else []
    topics = await _create_topics(settings, check) if settings.events else []
    # Without tables there are no older records.
    copied = await _copy_records(settings, check) if settings.records and not (check and tables) else []
    return [*users, *tables, *topics, *copied]


async def _create_tables(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.cassandra.schema import migrate as migrate_cassandra

    with naming_setting("RECORDS"):
        return await migrate_cassandra(settings.records, schemas(), check=check)


async def _create_users(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.postgres.schema import migrate as migrate_postgres

    with naming_setting("USERS"):
        return await migrate_postgres(settings.users, postgres_schemas(), check=check)


async def _create_topics(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.kafka.event_log import create_topics

    with naming_setting("EVENTS"):
        return await create_topics(settings.events, TOPICS, check=check)


async def _copy_records(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.cassandra.engine import open_cassandra
    from reaction_svc.adapters.cassandra_upgrade import needs_upgrade, upgrade

    with naming_setting("RECORDS"):
        async with open_cassandra(settings.records, timeout=10.0) as cassandra:
            if not await needs_upgrade(cassandra):
                return []
            if not check:
                # Answers are stored by shard; the shards are the partitions of the topic.
                partitions = await read_partitions(settings)
                await upgrade(cassandra, partitions[LEDGER], settings.reaction.op_seconds)
    return ["records and answers of the version before"]
