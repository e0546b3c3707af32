"""The rate limit of each user, in Redis for all nodes together; local to this process while Redis is unavailable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from kit.errors import OutcomeUnknown, Unavailable
from kit.tenant_keys import UserKey
from reaction_svc.metrics import LIMITS_LOCAL
from reaction_svc.ports import RateLimit

if TYPE_CHECKING:
    from kit.adapters.redis.engine import Redis

log = structlog.get_logger()
_SCRIPT = Path(__file__).with_name("rate.lua")
_MICROS = 1_000_000


class RedisRateLimit:
    """See `ports.RateLimit`. While Redis is unavailable, the `local` limit of each node applies.

    One round trip to Redis is in flight at a time; requests that arrive meanwhile share the next one. So changes keep
    their order.
    """

    def __init__(self, redis: Redis, per_second: float, at_once: int, local: RateLimit) -> None:
        self._redis = redis
        self._script = redis.script(_SCRIPT)
        self._bucket = (round(_MICROS / per_second), round(at_once * _MICROS / per_second))
        self._local = local
        self._round_trip = asyncio.Lock()
        self._waiting: list[tuple[Sequence[UserKey], asyncio.Future[Sequence[float]]]] = []
        self._away = False

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """See `ports.RateLimit`."""
        answer: asyncio.Future[Sequence[float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((users, answer))
        async with self._round_trip:
            if not answer.done():
                await self._decide_waiting()
        return answer.result()

    async def _decide_waiting(self) -> None:
        requests, self._waiting = self._waiting, []
        try:
            waits = iter(await self._decide([user for users, _ in requests for user in users]))
        except BaseException:
            self._waiting = requests + self._waiting  # the next caller sends them
            raise
        for users, answer in requests:
            answer.set_result([next(waits) for _ in users])

    async def _decide(self, users: Sequence[UserKey]) -> Sequence[float]:
        wanted = Counter(users)
        calls = [
            ([self._redis.key("rate", f"{tenant}/{user}")], [*self._bucket, tokens])
            for (tenant, user), tokens in wanted.items()
        ]
        try:
            found = await self._script.each(calls)
        except (Unavailable, OutcomeUnknown) as error:
            self._set_away(True, str(error))
            return await self._local.take(users)
        self._set_away(False, "")
        remaining = {user: taken for user, (taken, _) in zip(wanted, found, strict=True)}
        wait = {user: micros for user, (_, micros) in zip(wanted, found, strict=True)}
        waits: list[float] = []
        for user in users:
            remaining[user] -= 1
            waits.append(0.0 if remaining[user] >= 0 else wait[user] / _MICROS)
        return waits

    def _set_away(self, away: bool, reason: str) -> None:
        if away == self._away:
            return
        self._away = away
        LIMITS_LOCAL.set(int(away))
        if away:
            log.warning("rate limits are local to this node", reason=reason)
        else:
            log.warning("rate limits apply to all nodes together again")
