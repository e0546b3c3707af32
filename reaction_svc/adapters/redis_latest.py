"""The latest reactors of large targets in Redis: a derived cache that lags a little; a stale list is not used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from kit.adapters.redis.engine import Redis
from kit.errors import Problem
from kit.tenant_keys import TargetKey
from reaction_svc.domain import TargetChange, TargetHead
from reaction_svc.model.state import RECORDS_AT_ONCE
from reaction_svc.ports import Reactor

log = structlog.get_logger()
_HERE = Path(__file__)
_MOST = 1_000
"""Reactors kept per emoji."""
_PENDING = 20_000  # targets; above, waiting changes are dropped, and their lists are recognised as stale
_AT_ONCE = 64
_PACE_SECONDS = 0.03
"""Seconds between two flushes: all changes of a target in between are one call. Shorter than readers wait."""
_CATCH_UP_SECONDS = (0.005, 0.015, 0.03, 0.03)


class _PendingUpdates:
    """The changes of a target since the last flush: the versions before and after, the last state of each reaction."""

    __slots__ = ("before", "states", "version")

    def __init__(self, before: int) -> None:
        self.before = before
        self.version = before
        self.states: dict[tuple[str, str], int] = {}

    def add(self, before: int, change: TargetChange) -> None:
        """Adds an entry; after a gap, Redis drops the target."""
        if before != self.version:
            self.before = -1
        self.version = change.head.version
        states = self.states
        for user, added, removed, version, *_ in change.rows:
            if removed:
                states[user, removed] = 0
            if added:
                states[user, added] = version


class RedisLatest:
    """Keeps lists up to date in the background, and reads them. `run` must run concurrently."""

    def __init__(self, redis: Redis, seconds: float, above: int = RECORDS_AT_ONCE) -> None:
        """Lists are kept for `seconds` after their last change, of targets with more than `above` reactions: for
        others the tables answer in one read."""
        self._redis = redis
        self._above = above
        self._ttl = round(seconds * 1_000)
        self._apply = redis.script(_HERE.with_name("redis_latest_apply.lua"))
        self._fill = redis.script(_HERE.with_name("redis_latest_fill.lua"))
        self._page = redis.script(_HERE.with_name("redis_latest_page.lua"), reads=True)
        self._pending: dict[TargetKey, _PendingUpdates] = {}
        self._wanted = asyncio.Event()

    def record_entry(self, before: Mapping[TargetKey, int], changes: Sequence[TargetChange]) -> None:
        """Records a durable entry; `before`: the versions of its targets before it."""
        pending = self._pending
        if len(pending) > _PENDING:
            pending.clear()
        for change in changes:
            if not self._keeps(change.head):
                continue
            known = pending.get(change.key)
            if known is None:
                known = pending[change.key] = _PendingUpdates(before[change.key])
            known.add(before[change.key], change)
        self._wanted.set()

    async def run(self) -> None:
        """Flushes changes until it is cancelled; changes that Redis does not accept are dropped."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._pending:
                keys = [key for key, _ in zip(self._pending, range(_AT_ONCE), strict=False)]
                work = [self._flush(key, self._pending.pop(key)) for key in keys]
                failed = [e for e in await asyncio.gather(*work, return_exceptions=True) if isinstance(e, Exception)]
                if failed:
                    log.info("latest reactors are not up to date in Redis", reason=str(failed[0]))
                await asyncio.sleep(_PACE_SECONDS)

    async def page(
        self, key: TargetKey, head: TargetHead, emoji: str, before: int, limit: int
    ) -> Sequence[Reactor] | None:
        """The page in Redis, if the target is there at the version of the head or a later one; otherwise None."""
        if not self._keeps(head):
            return None
        emojis = [emoji] if emoji else list(head.counts)
        keys = [self._head(key), *(self._list(key, each) for each in emojis)]
        for pause in (*_CATCH_UP_SECONDS, None):
            try:
                answer = await self._page(keys, [head.version, before, limit, *emojis])
            except Problem:
                return None
            if answer[0] == b"ok":
                return _complete(answer[1], emojis, limit)
            if answer[0] != b"behind" or pause is None:
                return None
            await asyncio.sleep(pause)
        return None

    async def fill(self, key: TargetKey, head: TargetHead, holders: Sequence[Reactor]) -> None:
        """Stores the lists of a target, read from the tables at its head; `holders`: all reactors, latest first. Best
        effort."""
        lists: dict[str, list[Reactor]] = {emoji: [] for emoji in head.counts}
        for holder in holders:
            lists.setdefault(holder.emoji, []).append(holder)
        args: list[str | int] = [head.version, self._ttl]
        for emoji, found in lists.items():
            kept = found[:_MOST]
            args += [emoji, found[_MOST].version if len(found) > _MOST else 0, len(kept)]
            for holder in kept:
                args += [holder.version, holder.user]
        try:
            await self._fill([self._head(key), *(self._list(key, emoji) for emoji in lists)], args)
        except Problem as problem:
            log.info("latest reactors could not be put into Redis", reason=str(problem))

    async def _flush(self, key: TargetKey, pending: _PendingUpdates) -> None:
        lists: dict[str, list[tuple[str, int]]] = {}
        for (user, emoji), version in pending.states.items():
            lists.setdefault(emoji, []).append((user, version))
        args: list[str | int] = [pending.before, pending.version, self._ttl, _MOST]
        for emoji, rows in lists.items():
            args += [emoji, len(rows)]
            for user, version in rows:
                args += [version, user]
        await self._apply([self._head(key), *(self._list(key, emoji) for emoji in lists)], args)

    def _keeps(self, head: TargetHead) -> bool:
        return sum(head.counts.values()) > self._above

    def _head(self, key: TargetKey) -> str:
        return f"{self._redis.prefix}reactions:{{{_tag(key)}}}"

    def _list(self, key: TargetKey, emoji: str) -> str:
        return f"{self._redis.prefix}reactions:{{{_tag(key)}}}:{emoji}"


def _complete(lists: Sequence[Any], emojis: Sequence[str], limit: int) -> Sequence[Reactor] | None:
    """The page of all lists; None where it may be incomplete."""
    floor = 0
    holders: list[Reactor] = []
    for emoji, (low, rows) in zip(emojis, lists, strict=True):
        floor = max(floor, int(low))
        holders += [Reactor(user.decode(), emoji, int(at)) for user, at in zip(rows[::2], rows[1::2], strict=True)]
    holders.sort(key=lambda holder: -holder.version)
    page = holders[:limit]
    # Complete where the lists are whole, or the page ends above the lowest complete version.
    return page if floor == 0 or (len(page) == limit and page[-1].version > floor) else None


def _tag(key: TargetKey) -> str:
    # Two targets never have the same name: a tenant's / is escaped, a target has exactly one.
    return f"{quote(key[0], safe='')}/{key[1]}"
