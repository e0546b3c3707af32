"""Reads of the tables of reactions in SQLite, on read-only connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from kit.adapters.sqlite.file import connect, in_bulk, readable
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.own_pages import own_reactions, whole_positions
from reaction_svc.adapters.sqlite_tables import SQL, decode_counts
from reaction_svc.domain import TargetHead
from reaction_svc.ports import OwnReactions, Reactor, TargetCounts

_NEWEST = (1 << 63) - 1


class SqliteReads:
    """See `ports.ReactionReads`. Short reads run on the event loop, counts run in a thread."""

    def __init__(self, path: Path) -> None:
        self._reading = connect(path)
        self._counting = connect(path)
        self._counter = ThreadPoolExecutor(1, "reaction-tally")

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """See `ports.ReactionReads`."""
        found: dict[str, list[tuple[int, str]]] = {}
        versions: dict[str, int] = {}
        asked = list(dict.fromkeys(targets))
        with readable():
            rows = in_bulk(self._reading, SQL["own"], 3, [value for name in asked for value in (tenant, name, user)])
        for name, target_version, emoji, version in dict.fromkeys(rows):
            versions[name] = target_version
            if emoji is not None:
                found.setdefault(name, []).append((version, emoji))
        return [
            OwnReactions(name, tuple(emoji for _, emoji in sorted(found.get(name, ()))), versions.get(name, 0))
            for name in targets
        ]

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """See `ports.ReactionReads`."""
        with readable():
            row: Any = self._reading.execute(SQL["find_target"], (tenant, target)).fetchone()
            if row is None:
                return ()
            # The index has the reactors of each emoji in order of version; the few emoji of a target are merged.
            emojis = [emoji] if emoji else list(decode_counts(row[1]))
            holders: list[list[Any]] = [
                self._reading.execute(SQL["reactors"], (row[0], each, before or _NEWEST, limit)).fetchall()
                for each in emojis
            ]
        latest = merge(*holders, key=lambda holder: -holder[2])
        return [Reactor(*holder) for holder in islice(latest, limit)]

    async def targets_of(self, tenant: str, user: str, limit: int) -> Sequence[tuple[str, int]]:
        """See `ports.ErasureReads`."""
        with readable():
            found: Any = self._reading.execute(SQL["targets_of"], (tenant, user, limit)).fetchall()
            return list(found)

    async def all_own(
        self, tenant: str, user: str, after: int, limit: int
    ) -> tuple[Sequence[OwnReactions], int | None]:
        """See `ports.ExportReads`."""
        with readable():
            rows: list[Any] = self._reading.execute(SQL["all_own"], (tenant, user, after, limit)).fetchall()
        kept, position = whole_positions(rows, limit)
        return own_reactions(kept), position

    async def holders(self, tenant: str, target: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """See `ports.ErasureReads`."""

        def read() -> list[tuple[str, int]]:
            row: Any = self._counting.execute(SQL["find_target"], (tenant, target)).fetchone()
            found: Any = self._counting.execute(SQL["holders"], (row[0], after, limit)) if row is not None else ()
            return list(found)

        with readable():
            # Any number of users without a present reaction may have to be skipped.
            return await asyncio.get_running_loop().run_in_executor(self._counter, read)

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetHead]:
        """See `ports.ReactionReads`."""
        with readable():
            rows = in_bulk(self._reading, SQL["find_targets"], 2, [part for key in keys for part in key])
        return {
            (tenant, name): TargetHead(version, stamp, decode_counts(counts), highest, tuple(ahead.split()))
            for _, tenant, name, version, counts, stamp, highest, ahead in rows
        }

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """See `ports.ReactionReads`."""

        def count() -> list[TargetCounts]:
            return [
                next(iter(self._tallies(SQL["tally"], (tenant, name))), (0, TargetCounts(tenant, name, 0, {})))[1]
                for name in targets
            ]

        with readable():
            return await asyncio.get_running_loop().run_in_executor(self._counter, count)

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        """See `ports.ReactionReads`."""

        def count() -> tuple[Sequence[TargetCounts], int]:
            found = list(self._tallies(SQL["tally_all"], (after, limit)))
            return [tally for _, tally in found], found[-1][0] if len(found) == limit else 0

        with readable():
            return await asyncio.get_running_loop().run_in_executor(self._counter, count)

    async def close(self) -> None:
        """Closes the connections; a count in progress fails."""
        self._counting.interrupt()
        await asyncio.get_running_loop().run_in_executor(self._counter, self._counting.close)
        self._counter.shutdown()
        self._reading.close()

    def _tallies(self, sql: str, bindings: Sequence[Any]) -> Iterator[tuple[int, TargetCounts]]:
        """(row id, tally) of each target; a statement reads one snapshot, so counts and version match."""
        rows: list[Any] = self._counting.execute(sql, bindings).fetchall()
        for (id_, tenant, name, version), group in groupby(rows, key=lambda row: row[:4]):
            yield (
                id_,
                TargetCounts(tenant, name, version, {emoji: users for *_, emoji, users in group if emoji is not None}),
            )
