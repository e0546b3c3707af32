"""Makes keyspace, tables and topics and copies what older versions kept, or says what is missing."""

from __future__ import annotations

from reaction_svc.retention import LEDGER
from stack.settings.model import Settings
from stack.storage.engines import naming, read_partitions
from stack.storage.schemas import TOPICS, schemas


async def migrate(settings: Settings, *, check: bool = False) -> list[str]:
    """What was made, a line each; with `check` what is missing, and nothing is made. Raises CannotUse."""
    tables = await _make_tables(settings, check) if settings.records else []
    topics = await _make_topics(settings, check) if settings.events else []
    # Without its tables there is nothing to look at.
    copied = await _copy_records(settings, check) if settings.records and not (check and tables) else []
    return [*tables, *topics, *copied]


async def _make_tables(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.cassandra_schema import migrate as migrate_cassandra

    with naming("RECORDS"):
        return await migrate_cassandra(settings.records, schemas(), check=check)


async def _make_topics(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.kafka_log import create_topics

    with naming("EVENTS"):
        return await create_topics(settings.events, TOPICS, check=check)


async def _copy_records(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.cassandra import open_cassandra
    from reaction_svc.adapters.cassandra_upgrade import needs_upgrade, upgrade

    with naming("RECORDS"):
        async with open_cassandra(settings.records, timeout=10.0) as cassandra:
            if not await needs_upgrade(cassandra):
                return []
            if not check:
                # Answers are filed by shard, and shards are the partitions that the topic has.
                partitions = await read_partitions(settings)
                await upgrade(cassandra, partitions[LEDGER], settings.reaction.op_seconds)
    return ["records and answers of the version before"]
