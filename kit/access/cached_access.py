"""Decides what users may see: from the cache where that grants it, otherwise by asking message_svc."""

from __future__ import annotations

from collections.abc import Sequence

from kit.access import metrics
from kit.access.cache import AccessCache
from kit.access.decision import decide, is_granted, queries_of
from kit.access.domain import BLOCK, subject_of
from kit.access.ports import AccessSource, Check
from kit.clock import Clock
from kit.errors import Problem, Unavailable


class CachedAccess:
    """See `ports.Access`. Asks once for all checks of a call, by conversation and user.

    A refusal is never taken from the cache, so a user who was added a moment ago is not refused.
    """

    def __init__(self, source: AccessSource, cache: AccessCache, clock: Clock) -> None:
        self._source = source
        self._cache = cache
        self._clock = clock

    def is_granted(self, checks: Sequence[Check]) -> bool:
        """See `Access`."""
        now = self._clock.monotonic()
        if not all(self._is_known(check, now) for check in checks):
            return False
        metrics.HITS.inc(len(checks))
        return True

    async def check(self, checks: Sequence[Check]) -> Sequence[Problem | None]:
        """See `Access`."""
        now = self._clock.monotonic()
        unknown = [check for check in checks if not self._is_known(check, now)]
        metrics.HITS.inc(len(checks) - len(unknown))
        metrics.MISSES.inc(len(unknown))
        if not unknown:
            return [None] * len(checks)
        asked = dict(zip(unknown, await self._ask(unknown), strict=True))
        return [asked.get(check) for check in checks]

    def _is_known(self, check: Check, now: float) -> bool:
        subject = subject_of(check.name)
        key = check.tenant, subject.conversation_id
        block = self._cache.block(key, subject.seq // BLOCK, now) if subject.seq else None
        return is_granted(check, subject, self._cache.user(key, check.user, now), block)

    async def _ask(self, checks: Sequence[Check]) -> Sequence[Problem | None]:
        queries = queries_of(checks)
        ticket = self._cache.begin()
        try:
            answers = await self._source.get(queries) if queries else {}
            self._cache.put(ticket, answers, self._clock.monotonic())
        except Unavailable as error:
            return [error if subject_of(check.name).conversation_id else decide(check, {}) for check in checks]
        finally:
            self._cache.end(ticket)
        return [decide(check, answers) for check in checks]
