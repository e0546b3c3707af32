"""The lease in Redis, for registries without a Cassandra: one hash, replaced by a script."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from session_registry.lease import Lease

if TYPE_CHECKING:
    from kit.adapters.redis.engine import Redis

_HERE = Path(__file__).parent


class RedisLease:
    """See `ports.LeaseStore`. The clock is that of Redis."""

    def __init__(self, redis: Redis) -> None:
        self._read = redis.script(_HERE / "lease_read.lua", reads=True)
        self._replace = redis.script(_HERE / "lease_replace.lua")
        self._keys = [redis.key("registry", "lease")]

    async def read(self, *, decided: bool = False) -> tuple[Lease | None, int]:
        """See `ports.LeaseStore`. One server decides, so there is nothing that is not decided yet."""
        micros, *found = await self._read(self._keys, [])
        if not found:
            return None, int(micros)
        holder, address, *numbers = found
        term, renewal, ceiling, lasts = map(int, numbers)
        return Lease(holder.decode(), address.decode(), term, renewal, ceiling, lasts), int(micros)

    async def replace(self, last: Lease | None, new: Lease) -> bool:
        """See `ports.LeaseStore`."""
        condition = ("", "") if last is None else (last.term, last.renewal)
        return bool(await self._replace(self._keys, [*condition, *astuple(new)]))
