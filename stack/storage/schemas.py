"""The tables and topics that services need on the engines, and the shards of each service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.adapters.cassandra.schema import Schema
    from kit.adapters.postgres.schema import Schema as PostgresSchema

_ROOT = Path(__file__).parents[2]
# Partitions of each topic when it is created and the URL has no number. The partitions of a ledger's topic are its
# shards: few, because an append commits all pending commands of a shard, one append at a time.
TOPICS = {"reactions": 4, "messages": 4, "offline-notifications": 4, "dead-letters": 1}
# Services whose calls go to the owner of the shard of their key, and the topic of their ledger.
LEDGER_TOPICS = {
    "plaudit.reaction.v1.ReactionService": "reactions",
    "plaudit.counter.v1.CounterService": "reactions",
    "plaudit.message.v1.ConversationService": "messages",
    "plaudit.message.v1.MessageService": "messages",
}


def shard_counts(partitions: Callable[[str], int]) -> dict[str, int]:
    """The number of shards of each sharded service: the number of `partitions` of its topic."""
    return {service: partitions(topic) for service, topic in LEDGER_TOPICS.items()}


def postgres_schemas() -> tuple[PostgresSchema, ...]:
    """The tables in PostgreSQL."""
    from kit.adapters.postgres.schema import Schema

    return (Schema("message_svc", _ROOT / "message_svc" / "users" / "adapters" / "postgres"),)


def schemas() -> tuple[Schema, ...]:
    """The tables in Cassandra: the ledger's, then each service's. Unused tables of older versions stay."""
    from kit.adapters.cassandra.schema import Schema

    names = ("reaction_svc", "message_svc", "session_registry")
    services = [Schema(name, _ROOT / name / "adapters" / "cassandra") for name in names]
    return (Schema("ledger", _ROOT / "kit" / "adapters" / "cassandra" / "ledger_schema"), *services)
