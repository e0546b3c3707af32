"""The questions the store on Cassandra and Redis answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

import structlog

from kit.errors import Problem, Unavailable
from reaction_svc.adapters.cassandra_batch import Head, bucket_of
from reaction_svc.adapters.cassandra_recovery import Home
from reaction_svc.adapters.cassandra_rows import Key, Rows, all_of
from reaction_svc.adapters.redis_hot import Hot, Lost
from reaction_svc.metrics import DRIFTED
from reaction_svc.ports import Own, Reactor, Tally

_ROUNDS = 5
_PAUSE_SECONDS = 0.01
# Places of partitions are 64-bit numbers with a sign; as cursors they are above 0.
_SHIFT = 1 << 63
_TALLIES_AT_ONCE = 16
log = structlog.get_logger()


class Reads:
    """The reading half of `ports.ReactionStore`."""

    def __init__(self, rows: Rows, hot: Hot) -> None:
        self._rows = rows
        self._hot = hot
        self._home: Home | None = None
        self._counting = asyncio.Semaphore(_TALLIES_AT_ONCE)

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[Own]:
        """See `ports.ReactionStore`."""
        asked = list(dict.fromkeys(targets))
        heads = await self._rows.heads((tenant, name) for name in asked)
        places: dict[int, list[str]] = {0: [name for _, name in heads]}
        for (_, name), head in heads.items():
            bucket = bucket_of(user, head.spread)
            if bucket:
                places.setdefault(bucket, []).append(name)
        found: dict[str, dict[str, tuple[int, bool]]] = {}
        for rows in await all_of(
            *(self._rows.own(tenant, user, names, bucket) for bucket, names in places.items() if names)
        ):
            for name, emoji, held, version in rows:
                states = found.setdefault(name, {})
                if emoji not in states or version > states[emoji][0]:
                    states[emoji] = (version, held)
        return [
            Own(
                name,
                tuple(
                    emoji
                    for (_, emoji) in sorted(
                        (version, emoji) for emoji, (version, held) in found.get(name, {}).items() if held
                    )
                ),
                heads[tenant, name].version if (tenant, name) in heads else 0,
            )
            for name in targets
        ]

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """See `ports.ReactionStore`. The latest 1,000 of each emoji are known to Redis; older ones are looked for."""
        key = (tenant, target)
        page = await self._latest(key, emoji, before, limit)
        if page is not None:
            return page
        head = (await self._rows.heads([key])).get(key)
        if head is None:
            return ()
        holders = [
            Reactor(row.user, row.emoji, row.version)
            for row in await self._rows.scan(key, head.spread)
            if row.held and (not emoji or row.emoji == emoji) and (not before or row.version < before)
        ]
        holders.sort(key=lambda holder: -holder.version)
        return holders[:limit]

    async def _latest(self, key: Key, emoji: str, before: int, limit: int) -> Sequence[Reactor] | None:
        """The page as Redis knows it; None where it may know only a part of it."""
        if self._home is None:
            return None
        try:
            known = await self._hot.page(self._home.generation, key, emoji, before, limit)
        except Problem:
            return None
        if known is None:
            return None
        floor, lists = known
        holders = [Reactor(user, name, version) for name, _, rows in lists for user, version in rows]
        holders.sort(key=lambda holder: -holder.version)
        page = list(islice(holders, limit))
        complete_down_to = max([floor, *(low for _, low, _ in lists)])
        # Complete where nobody is below that version, or the page ends above it.
        if complete_down_to == 0 or (len(page) == limit and page[-1].version > complete_down_to):
            return page
        return None

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[Tally]:
        """See `ports.ReactionStore`."""
        names = list(dict.fromkeys(targets))
        found = dict(zip(names, await all_of(*(self._tally((tenant, name)) for name in names)), strict=True))
        return [found[name] for name in targets]

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[Tally], int]:
        """See `ports.ReactionStore`. Targets come in the order of their partitions."""
        keys: list[Key] = []
        place = after - _SHIFT if after else -_SHIFT
        while len(keys) < limit:
            rows = await self._rows.targets(place, limit)
            for tenant, target, bucket, head, at in rows:
                place = at
                if bucket == 0 and head is not None:
                    keys.append((tenant, target))
                    if len(keys) == limit:
                        break
            else:
                if len(rows) < limit:
                    break
        found = await all_of(*(self._tally(key) for key in keys))
        return found, place + _SHIFT if len(keys) == limit else 0

    async def _tally(self, key: Key) -> Tally:
        async with self._counting:
            head: Head | None = None
            for attempt in range(_ROUNDS):
                if attempt:
                    await asyncio.sleep(_PAUSE_SECONDS * attempt)
                token = await self._quiet_token(key)
                if token is None:
                    continue
                head = (await self._rows.heads([key])).get(key)
                if head is None:
                    return Tally(*key, 0, {})
                if token and int(token) != head.stamp:
                    continue
                counts = await self._count(key, head)
                if await self._quiet_token(key) == token and await self._stamp(key) == head.stamp:
                    if counts != head.counts:
                        DRIFTED.inc()
                        log.error("records and running counts differ", tenant=key[0], target=key[1])
                    return Tally(*key, head.version, counts)
            # It changes all the time, so records cannot be counted as of one moment; its writers count as they go.
            head = (await self._rows.heads([key])).get(key)
            return Tally(*key, head.version, head.counts) if head else Tally(*key, 0, {})

    async def _count(self, key: Key, head: Head) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in await self._rows.scan(key, head.spread):
            if row.held:
                counts[row.emoji] = counts.get(row.emoji, 0) + 1
        return counts

    async def _stamp(self, key: Key) -> int:
        head = (await self._rows.heads([key])).get(key)
        return head.stamp if head else 0

    async def _quiet_token(self, key: Key) -> str | None:
        """Where the target stands; None while something of its last batch may still be on its way."""
        home = self._home
        if home is None:
            raise Unavailable("the store recovers from a failure", retry_after=0.5)
        try:
            (standing,), unconfirmed = await self._hot.load(home.generation, [key])
        except Lost:
            raise Unavailable("the store recovers from a failure", retry_after=0.5) from None
        if any(seq <= standing.seq for seq in unconfirmed.get(standing.writer, ())):
            return None
        return standing.token
