"""The engines a process works with, opened once for all of its services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.event_log.ports import Log

if TYPE_CHECKING:
    from kit.adapters.cassandra.engine import Cassandra
    from kit.adapters.postgres.engine import Postgres
    from kit.adapters.redis.engine import Redis


@dataclass(frozen=True)
class Engines:
    """Where the services of a process store their data. Without an engine, services use files of the folder `data`."""

    data: Path
    log: Log
    cassandra: Cassandra | None = None
    """The ledger, its tables, and the lease of the leading session registry."""
    redis: Redis | None = None
    """Derived state: latest reactors, counts, routes, rate limits; without Cassandra that lease, too. May be absent."""
    message_log: Log | None = None
    """The event log of conversations: `log`, or without engines one in a file of its own; None: this process does not
    use it."""
    notification_log: Log | None = None
    """The topic `offline-notifications`, and the position of its writer on `message_log`; None: no notifications."""
    postgres: Postgres | None = None
    """Users."""
