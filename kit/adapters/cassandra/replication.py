"""The replication of a keyspace: conditional writes at LOCAL_SERIAL are decided within one data centre only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kit.engine_url import CannotUse

_Execute = Callable[[str], Awaitable[list[Any]]]
_NOT_DATA_CENTRES = ("class", "replication_factor")


async def check_one_data_centre(execute: _Execute, keyspace: str) -> None:
    """Raises CannotUse where the keyspace is replicated to several data centres, each of which would decide alone."""
    found = await execute(f"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'")
    replication: Mapping[str, str] = found[0][0]
    where = {name for name, copies in replication.items() if name not in _NOT_DATA_CENTRES and copies != "0"}
    if not where:
        # A strategy that names no data centres spreads the copies over all of them.
        for table in ("system.local", "system.peers"):
            where |= {row[0] for row in await execute(f"SELECT data_center FROM {table}") if row[0]}
    if len(where) > 1:
        raise CannotUse(
            f"the keyspace {keyspace} is replicated to {', '.join(sorted(where))}; conditional writes are decided in"
            " one data centre, so replicate it to exactly one"
        )
