"""What the services need of the engines: tables, and topics with their partitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.adapters.cassandra_schema import Schema

_ROOT = Path(__file__).parents[2]
# Partitions of each topic of the event log where it is made and its URL does not say. Those of a ledger's topic are its
# shards: few, because an append carries all that came meanwhile, and each is one at a time.
TOPICS = {"reactions": 4, "dead-letters": 1}
# The services whose calls go to the node that owns the shard of their key, and the topic of their ledger.
SHARDED = {
    "plaudit.reaction.v1.ReactionService": "reactions",
    "plaudit.counter.v1.CounterService": "reactions",
}


def sharded(partitions: Callable[[str], int]) -> dict[str, int]:
    """Into how many shards each service divides its keys: as many as its topic really has `partitions`."""
    return {service: partitions(topic) for service, topic in SHARDED.items()}


def schemas() -> tuple[Schema, ...]:
    """The tables in Cassandra: the ledger's, then each service's. Older tables that nothing uses stay as they are."""
    from kit.adapters.cassandra_schema import Schema

    services = [Schema(name, _ROOT / name / "adapters" / "cassandra") for name in ("reaction_svc", "session_registry")]
    return (Schema("ledger", _ROOT / "kit" / "adapters" / "cassandra_ledger"), *services)
