"""Reads of the tables of reactions in Cassandra."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import all_of
from kit.adapters.cassandra.engine import Cassandra
from kit.ledger.errors import CorruptEntry
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.cassandra_tables import CassandraTables, held_of
from reaction_svc.adapters.own_pages import own_reactions, whole_positions
from reaction_svc.domain import TargetHead
from reaction_svc.metrics import DRIFTED
from reaction_svc.model.state import RECORDS_AT_ONCE
from reaction_svc.ports import OwnReactions, Reactor, TargetCounts

_ROUNDS = 5
_PAUSE_SECONDS = 0.01
_SCAN_SECONDS = 10.0
# Tokens of partitions are 64-bit numbers with a sign; as cursors they are above 0.
_SHIFT = 1 << 63
_TALLIES_AT_ONCE = 16
_ROWS_PER_NAME = 4
_KEYS_AT_ONCE = 20
_CQL = {
    "own": "SELECT target, emoji, held, version FROM reaction_record WHERE tenant = ? AND target IN ? AND user = ?",
    # By the index of users; a row of another tenant's user with the same name is filtered by the server.
    "targets_of": "SELECT target, held FROM reaction_record WHERE tenant = ? AND user = ? LIMIT ? ALLOW FILTERING",
    "all_own": "SELECT token(tenant, target), target, emoji, version, held, tenant FROM reaction_record"
    " WHERE user = ? AND token(tenant, target) > ? LIMIT ? ALLOW FILTERING",
    "holders": "SELECT user, held FROM reaction_record WHERE tenant = ? AND target = ? AND user > ? LIMIT ?",
    "scan": "SELECT user, emoji, held, version, WRITETIME(held) FROM reaction_record WHERE tenant = ? AND target = ?",
    "targets": "SELECT DISTINCT tenant, target, head, token(tenant, target) FROM reaction_record"
    " WHERE token(tenant, target) > ? LIMIT ?",
}
log = structlog.get_logger()


class Latest(Protocol):
    """A cache of the latest reactors of targets, which avoids a scan; it may lag or be incomplete."""

    async def page(
        self, key: TargetKey, head: TargetHead, emoji: str, before: int, limit: int
    ) -> Sequence[Reactor] | None:
        """The page for `ReactionReads.reactors`; None where it is not cached at the version of the head or later.

        Never raises.
        """
        ...

    async def fill(self, key: TargetKey, head: TargetHead, holders: Sequence[Reactor]) -> None:
        """Stores all reactors of a target, latest first, read at the version of the head or later. Never raises."""
        ...


class CassandraQueries:
    """See `ports.ReactionReads`. Made by `open_cassandra_queries`."""

    def __init__(
        self,
        cassandra: Cassandra,
        tables: CassandraTables,
        statements: Mapping[str, PreparedStatement],
        latest: Latest | None,
    ) -> None:
        self._cassandra = cassandra
        self._tables = tables
        self._statements = statements
        self._latest = latest
        self._tallies = asyncio.Semaphore(_TALLIES_AT_ONCE)

    async def heads(self, keys: Iterable[TargetKey]) -> Mapping[TargetKey, TargetHead]:
        """The heads of those targets that have one; includes every answered change."""
        return await self._tables.heads(dict.fromkeys(keys))

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """See `ports.ReactionReads`."""
        # Heads first: the reactions are then at least as new as the version that is answered with them.
        heads = await self.heads((tenant, target) for target in targets)
        names = [target for _, target in heads]
        pages = await all_of(
            self._rows("own", tenant, names[at : at + _KEYS_AT_ONCE], user)
            for at in range(0, len(names), _KEYS_AT_ONCE)
        )
        held = held_of(row for page in pages for row in page)
        return [
            OwnReactions(name, tuple(held.get(name, ())), head.version if (head := heads.get((tenant, name))) else 0)
            for name in targets
        ]

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """See `ports.ReactionReads`. What `Latest` does not know is looked for in all records of the target."""
        key = (tenant, target)
        head = (await self.heads([key])).get(key)
        if head is None:
            return ()
        if self._latest is not None:
            page = await self._latest.page(key, head, emoji, before, limit)
            if page is not None:
                return page
        rows = await self._scan(key)
        if self._latest is not None and len(rows) > RECORDS_AT_ONCE and all(row[4] <= head.stamp for row in rows):
            holders = [Reactor(user, name, version) for user, name, held, version, _ in rows if held]
            holders.sort(key=lambda holder: -holder.version)
            await self._latest.fill(key, head, holders)
        wanted = (
            Reactor(user, name, version)
            for user, name, held, version, _ in rows
            if held and (not emoji or name == emoji) and (not before or version < before)
        )
        return heapq.nlargest(limit, wanted, key=lambda holder: holder.version)

    async def targets_of(self, tenant: str, user: str, limit: int) -> Sequence[tuple[str, int]]:
        """See `ports.ErasureReads`."""
        most = limit * _ROWS_PER_NAME
        rows = await self._rows("targets_of", tenant, user, most, timeout=_SCAN_SECONDS)
        return _whole(rows, is_cut=len(rows) == most)[:limit]

    async def all_own(
        self, tenant: str, user: str, after: int, limit: int
    ) -> tuple[Sequence[OwnReactions], int | None]:
        """See `ports.ExportReads`."""
        found: list[OwnReactions] = []
        position: int | None = after
        # Rows of reactions that were removed, and of other tenants, are left out here.
        while position is not None and not found:
            rows = await self._rows("all_own", user, position, limit, timeout=_SCAN_SECONDS)
            kept, position = whole_positions(rows, limit)
            found += own_reactions(row[:4] for row in kept if row[4] and row[5] == tenant)
        return found, position

    async def holders(self, tenant: str, target: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """See `ports.ErasureReads`."""
        most = limit * _ROWS_PER_NAME
        found: list[tuple[str, int]] = []
        while len(found) < limit:
            # Users without a present reaction have rows, too.
            rows = await self._rows("holders", tenant, target, after, most, timeout=_SCAN_SECONDS)
            rows = [row for row in rows if row[0] is not None]
            users = _whole(rows, is_cut=len(rows) == most)
            found += [user for user in users if user[1]]
            if len(rows) < most:
                break
            after = users[-1][0]
        return found[:limit]

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """See `ports.ReactionReads`."""
        names = list(dict.fromkeys(targets))
        found = dict(zip(names, await all_of(self._tally((tenant, name)) for name in names), strict=True))
        return [found[name] for name in targets]

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        """See `ports.ReactionReads`. Targets come in the order of their partitions."""
        rows = await self._rows("targets", after - _SHIFT, limit)
        # A partition without a head has records of a round in progress: it is counted next time.
        keys = [(tenant, target) for tenant, target, head, _ in rows if head is not None]
        found = [tally for tally in await all_of(self._legible_tally(key) for key in keys) if tally is not None]
        return found, rows[-1][3] + _SHIFT if len(rows) == limit else 0

    async def _legible_tally(self, key: TargetKey) -> TargetCounts | None:
        """None where the head is corrupt: one such target must not prevent the audit of all others."""
        try:
            return await self._tally(key)
        except CorruptEntry as error:
            DRIFTED.inc()
            log.error("a target cannot be counted", tenant=key[0], target=key[1], error=str(error))
            return None

    async def _tally(self, key: TargetKey) -> TargetCounts:
        """Counts records between two reads of the head that are equal."""
        async with self._tallies:
            head = (await self.heads([key])).get(key)
            counts: dict[str, int] | None = None
            for attempt in range(_ROUNDS):
                if head is None:
                    return TargetCounts(*key, 0, {})
                if attempt:
                    await asyncio.sleep(_PAUSE_SECONDS * attempt)
                before, counts = head, await self._count(key, head.stamp)
                head = (await self.heads([key])).get(key)
                if head != before:
                    counts = None
                elif counts == before.counts:
                    break
            if head is None:
                return TargetCounts(*key, 0, {})
            if counts is None:
                # It changes continuously, so its records cannot be counted at one version.
                return TargetCounts(*key, head.version, head.counts)
            if counts != head.counts:
                DRIFTED.inc()
                log.error("records and counts differ", tenant=key[0], target=key[1])
            return TargetCounts(*key, head.version, counts)

    async def _count(self, key: TargetKey, stamp: int) -> dict[str, int] | None:
        """Users per emoji; None where a record is newer than `stamp`, which means that the head is not written yet."""
        counts: dict[str, int] = {}
        for _, emoji, held, _, written in await self._scan(key):
            if written > stamp:
                return None
            if held:
                counts[emoji] = counts.get(emoji, 0) + 1
        return counts

    async def _scan(self, key: TargetKey) -> list[Any]:
        """All records of a target: (user, emoji, held, version, stamp)."""
        rows = await self._rows("scan", *key, timeout=_SCAN_SECONDS)
        # A partition that has only its head returns one row of nulls.
        return [row for row in rows if row[0] is not None]

    async def _rows(self, name: str, *values: Any, timeout: float | None = None) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values, timeout=timeout)


def _whole(rows: Sequence[Any], *, is_cut: bool) -> list[tuple[str, int]]:
    """The number of reactions by name, of rows (name, held) that are grouped by name. The last name of a truncated page
    is left out, unless it is the only one."""
    found: dict[str, int] = {}
    for name, held in rows:
        found[name] = found.get(name, 0) + bool(held)
    if is_cut and len(found) > 1:
        del found[rows[-1][0]]
    return list(found.items())


async def open_cassandra_queries(
    cassandra: Cassandra, tables: CassandraTables, latest: Latest | None = None
) -> CassandraQueries:
    """Prepares the statements. Raises Unavailable."""
    return CassandraQueries(cassandra, tables, await cassandra.prepare_all(_CQL), latest)
