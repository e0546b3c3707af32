"""Makes keyspace, tables and topics and copies what older versions kept, or says what is missing."""

from __future__ import annotations

from stack.config import Settings
from stack.engines import naming
from stack.schemas import TOPICS, schemas, sharded


async def migrate(settings: Settings, *, check: bool = False) -> list[str]:
    """What was made, a line each; with `check` what is missing, and nothing is made. Raises CannotUse."""
    done: list[str] = []
    if settings.records:
        with naming("RECORDS"):
            done += await _migrate_records(settings, check)
    if settings.events:
        from kit.adapters.kafka_log import create_topics

        with naming("EVENTS"):
            done += await create_topics(settings.events, TOPICS, check=check)
    return done


async def _migrate_records(settings: Settings, check: bool) -> list[str]:
    from kit.adapters.cassandra import open_cassandra
    from kit.adapters.cassandra_schema import migrate as migrate_cassandra
    from reaction_svc.adapters.cassandra_upgrade import needs_upgrade, upgrade

    done = await migrate_cassandra(settings.records, schemas(), check=check)
    if check and done:
        return done
    async with open_cassandra(settings.records, timeout=10.0) as cassandra:
        if await needs_upgrade(cassandra):
            shards = sharded(settings.events)["plaudit.reaction.v1.ReactionService"]
            if not check:
                await upgrade(cassandra, shards, settings.reaction.op_seconds)
            done.append("records and answers of the version before")
    return done
