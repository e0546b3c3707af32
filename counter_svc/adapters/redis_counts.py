"""Counts in Redis: a hash of emoji and people for each target, read by anyone with one HGETALL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from counter_svc.domain import Key, Totals, totals
from kit.adapters.redis import Redis
from kit.ids import new_id

# The field of the version. No emoji has ASCII letters without a colon.
VERSION = "version"
_RESTORED_SECONDS = 60.0
_HERE = Path(__file__)


class RedisCounts:
    """See `ports.SharedCounts`. A target's hash is kept for `seconds` after its last change."""

    def __init__(self, redis: Redis, seconds: float) -> None:
        self._redis = redis
        self._seconds = seconds
        self._generation = redis.key("reaction_counts_generation")
        self._put = redis.script(_HERE.with_name("redis_put.lua"))
        self._get = redis.script(_HERE.with_name("redis_get.lua"), reads=True)

    async def put(self, totals: Mapping[Key, Totals], corrected: Collection[Key] = ()) -> str:
        """See `ports.SharedCounts`. The text is a key's value that whoever misses it first makes up."""
        answer = await self._send(totals, corrected, new_id(), self._seconds)
        return str(answer, "ascii")

    async def restore(self, totals: Mapping[Key, Totals]) -> None:
        """See `ports.SharedCounts`."""
        await self._send(totals, (), "", min(_RESTORED_SECONDS, self._seconds))

    async def get(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """See `ports.SharedCounts`."""
        rows = await self._get([self._key(key) for key in keys], ())
        return {key: _totals(row) for key, row in zip(keys, rows, strict=True) if row}

    async def _send(
        self, counts: Mapping[Key, Totals], corrected: Collection[Key], generation: str, seconds: float
    ) -> Any:
        args: list[str | int] = [generation, round(seconds * 1000), VERSION]
        for key, value in counts.items():
            args += (value.version, int(key in corrected), len(value.reactions))
            for reaction in value.reactions:
                args += reaction
        return await self._put([self._generation, *map(self._key, counts)], args)

    def _key(self, key: Key) -> str:
        return self._redis.key("reaction_counts", *key)


def _totals(row: Sequence[bytes]) -> Totals:
    fields = {str(name, "utf-8"): int(value) for name, value in zip(row[::2], row[1::2], strict=True)}
    return totals(fields.pop(VERSION), fields)
