"""Makes keyspace, tables and topics, or says what is missing."""

from __future__ import annotations

from stack.config import Settings
from stack.engines import naming
from stack.schemas import TOPICS, schemas


async def migrate(settings: Settings, *, check: bool = False) -> list[str]:
    """What was made, a line each; with `check` what is missing, and nothing is made. Raises CannotUse."""
    done: list[str] = []
    if settings.records:
        from kit.adapters.cassandra_schema import migrate as migrate_cassandra

        with naming("RECORDS"):
            done += await migrate_cassandra(settings.records, schemas(), check=check)
    if settings.events:
        from kit.adapters.kafka_log import create_topics

        with naming("EVENTS"):
            done += await create_topics(settings.events, TOPICS, check=check)
    return done
