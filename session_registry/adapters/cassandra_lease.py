"""The lease in Cassandra: one row, replaced by conditional statements."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from kit.adapters.cassandra.schema import Schema
from session_registry.lease import Lease

if TYPE_CHECKING:
    from kit.adapters.cassandra.engine import Cassandra

SCHEMA = Schema("session_registry", Path(__file__).with_name("cassandra"))
_UUID_EPOCH = 0x01B21DD213814000
"""1970 in the time of UUIDs: 100 ns since 1582."""
_NOW = "SELECT now() FROM system.local"
_READ = "SELECT holder, address, term, renewal, ceiling, lease FROM registry_lease WHERE name = 'leader'"
_FIRST = (
    "INSERT INTO registry_lease (holder, address, term, renewal, ceiling, lease, name)"
    " VALUES (?, ?, ?, ?, ?, ?, 'leader') IF NOT EXISTS"
)
_NEXT = (
    "UPDATE registry_lease SET holder = ?, address = ?, term = ?, renewal = ?, ceiling = ?, lease = ?"
    " WHERE name = 'leader' IF term = ? AND renewal = ?"
)


class CassandraLease:
    """See `ports.LeaseStore`. The clock is that of the node which answers."""

    def __init__(self, cassandra: Cassandra, timeout: float) -> None:
        """`timeout` in seconds for each statement."""
        self._cassandra = cassandra
        self._timeout = timeout

    async def read(self, *, decided: bool = False) -> tuple[Lease | None, int]:
        """See `ports.LeaseStore`."""
        found = await self._cassandra.rows(await self._cassandra.prepare(_READ), timeout=self._timeout, serial=decided)
        time = await self._cassandra.rows(await self._cassandra.prepare(_NOW), timeout=self._timeout)
        return Lease(*found[0]) if found else None, (time[0][0].time - _UUID_EPOCH) // 10

    async def replace(self, last: Lease | None, new: Lease) -> bool:
        """See `ports.LeaseStore`."""
        statement = await self._cassandra.prepare(_FIRST if last is None else _NEXT)
        condition = () if last is None else (last.term, last.renewal)
        answer = await self._cassandra.conditional(statement.bind((*astuple(new), *condition)), timeout=self._timeout)
        return bool(answer[0][0])
