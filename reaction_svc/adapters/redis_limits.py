"""The rate limit of each person, kept in Redis for all nodes together; by this process alone where Redis is away."""

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
    from kit.adapters.redis import Redis

log = structlog.get_logger()
_SCRIPT = Path(__file__).with_name("rate.lua")
_MICROS = 1_000_000


class RedisRateLimit:
    """See `ports.RateLimit`. While Redis cannot be used, `local` decides: an outage opens the limit, but not wide.

    One round trip to Redis is under way at a time, and what was asked for meanwhile goes together with the next: so
    changes keep the order in which they came.
    """

    def __init__(self, redis: Redis, per_second: float, at_once: int, local: RateLimit) -> None:
        self._redis = redis
        self._script = redis.script(_SCRIPT)
        self._bucket = (round(_MICROS / per_second), round(at_once * _MICROS / per_second))
        self._local = local
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Sequence[UserKey], asyncio.Future[Sequence[float]]]] = []
        self._away = False

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """See `ports.RateLimit`."""
        answer: asyncio.Future[Sequence[float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((users, answer))
        async with self._turn:
            if not answer.done():
                await self._answer()
        return answer.result()

    async def _answer(self) -> None:
        asked, self._waiting = self._waiting, []
        try:
            waits = iter(await self._decide([person for users, _ in asked for person in users]))
        except BaseException:
            self._waiting = asked + self._waiting  # whoever asked next goes on with it
            raise
        for users, answer in asked:
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
        left = {person: taken for person, (taken, _) in zip(wanted, found, strict=True)}
        wait = {person: micros for person, (_, micros) in zip(wanted, found, strict=True)}
        waits: list[float] = []
        for person in users:
            left[person] -= 1
            waits.append(0.0 if left[person] >= 0 else wait[person] / _MICROS)
        return waits

    def _set_away(self, away: bool, why: str) -> None:
        if away == self._away:
            return
        self._away = away
        LIMITS_LOCAL.set(int(away))
        if away:
            log.warning("rate limits are this node's alone", reason=why)
        else:
            log.warning("rate limits are common to all nodes again")
