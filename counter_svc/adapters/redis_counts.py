"""Counts in Redis: a hash of emoji and number of users for each target, which one HGETALL reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from counter_svc.domain import Totals, totals
from kit.adapters.redis.engine import Redis
from kit.tenant_keys import TargetKey

# The field of the version. No emoji has ASCII letters without a colon.
VERSION = "version"
_BATCH = 500
_RESTORED_SECONDS = 60.0
_HERE = Path(__file__)


class RedisCounts:
    """See `ports.SharedCounts`. A target's hash is kept for `seconds` after its last change.

    Each command has one key, so that a cluster can hold them: `reaction_counts:{tenant/target}`.
    """

    def __init__(self, redis: Redis, seconds: float) -> None:
        self._redis = redis
        self._seconds = seconds
        self._put = redis.script(_HERE.with_name("redis_put.lua"))
        self._get = redis.script(_HERE.with_name("redis_get.lua"), reads=True)

    async def put(self, values: Mapping[TargetKey, Totals], corrected: Collection[TargetKey] = ()) -> None:
        """See `ports.SharedCounts`."""
        await self._send(values, corrected, self._seconds)

    async def restore(self, values: Mapping[TargetKey, Totals]) -> None:
        """See `ports.SharedCounts`."""
        await self._send(values, (), min(_RESTORED_SECONDS, self._seconds))

    async def get(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """See `ports.SharedCounts`."""
        found: dict[TargetKey, Totals] = {}
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            rows = await self._get.each([([self._key(key)], ()) for key in part])
            found.update((key, _totals(row)) for key, row in zip(part, rows, strict=True) if row)
        return found

    async def _send(self, values: Mapping[TargetKey, Totals], corrected: Collection[TargetKey], seconds: float) -> None:
        milliseconds = round(seconds * 1000)
        calls: list[tuple[list[str], list[str | bytes | int | float]]] = []
        for key, value in values.items():
            args: list[str | bytes | int | float] = [milliseconds, VERSION, value.version, int(key in corrected)]
            for reaction in value.reactions:
                args += reaction
            calls.append(([self._key(key)], args))
        for start in range(0, len(calls), _BATCH):
            await self._put.each(calls[start : start + _BATCH])

    def _key(self, key: TargetKey) -> str:
        return f"{self._redis.prefix}reaction_counts:{{{key[0]}/{key[1]}}}"


def _totals(row: Sequence[bytes]) -> Totals:
    fields = {str(name, "utf-8"): int(value) for name, value in zip(row[::2], row[1::2], strict=True)}
    return totals(fields.pop(VERSION, 0), fields)
