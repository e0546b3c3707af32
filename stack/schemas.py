"""What the rooms need of the engines: tables, and topics with their partitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.adapters.cassandra_schema import Schema

_ROOT = Path(__file__).parent.parent
# Partitions of each topic of the event log where it is made: the most processes that can share the work on it.
TOPICS = {"reactions": 16, "dead-letters": 1}


def schemas() -> tuple[Schema, ...]:
    """The tables in Cassandra: the ledger's, then each service's."""
    from kit.adapters.cassandra_schema import Schema

    services = (Schema(name, _ROOT / name / "adapters" / "cassandra") for name in ("reaction_svc", "counter_svc"))
    return (Schema("ledger", _ROOT / "kit" / "adapters" / "cassandra_ledger"), *services)
