"""Counts in SQLite files, one for each partition: one thread writes, one reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import msgspec

from counter_svc.domain import Key, Totals, totals
from kit.adapters.sqlite_file import adopt_schema, connect, immediate, scalar

SCHEMA = 1
_PUT = (
    "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET version = excluded.version, reactions = excluded.reactions WHERE excluded.version >= version"
)
_decode = msgspec.json.Decoder(dict[str, int]).decode


class SqliteCountStore:
    """See `ports.CountStore`. Not synced at each save: what a power loss takes is folded again from the log."""

    def __init__(self, reader: apsw.Connection, writer: apsw.Connection) -> None:
        self._reader = reader
        self._writer = writer
        self._reading = ThreadPoolExecutor(1, "counts-read")
        self._writing = ThreadPoolExecutor(1, "counts-write")

    async def position(self) -> int:
        """See `ports.CountStore`."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._position)

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """See `ports.CountStore`."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._load, keys)

    async def save(self, totals: Mapping[Key, Totals], position: int, corrected: Collection[Key] = ()) -> None:
        """See `ports.CountStore`. Counts and position are one transaction."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._save, totals, position, corrected)

    async def keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """See `ports.CountStore`."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._keys, after, limit)

    def close(self) -> None:
        """Waits for what is under way, then closes the file."""
        self._writing.shutdown()
        self._reading.shutdown()
        self._reader.close()
        self._writer.close()

    def _position(self) -> int:
        return int(scalar(self._reader, "SELECT position FROM folded"))

    def _load(self, keys: Sequence[Key]) -> dict[Key, Totals]:
        found: dict[Key, Totals] = {}
        with self._reader:  # one transaction: one look at the file instead of one per target
            for key in keys:
                for version, reactions in self._reader.execute(
                    "SELECT version, reactions FROM counts WHERE tenant = ? AND target = ?", key
                ):
                    found[key] = totals(version, _decode(reactions))
        return found

    def _save(self, counts: Mapping[Key, Totals], position: int, corrected: Collection[Key]) -> None:
        encode = msgspec.json.encode
        rows = [(*key, value.version, encode(dict(value.reactions)).decode()) for key, value in counts.items()]
        with immediate(self._writer):
            self._writer.executemany("DELETE FROM counts WHERE tenant = ? AND target = ?", corrected)
            self._writer.executemany(_PUT, rows)
            self._writer.execute("UPDATE folded SET position = ?", (position,))

    def _keys(self, after: Key | None, limit: int) -> list[Key]:
        rows = self._reader.execute(
            "SELECT tenant, target FROM counts WHERE (tenant, target) > (?, ?) ORDER BY tenant, target LIMIT ?",
            (*(after or ("", "")), limit),
        )
        return [(str(tenant), str(target)) for tenant, target in rows]


class SqliteCountStores:
    """See `ports.CountStores`: files of one folder, opened when they are needed."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self._folder = folder
        self._partitions = partitions
        self._opened: dict[int, SqliteCountStore] = {}

    def of(self, partition: int) -> SqliteCountStore:
        """See `ports.CountStores`; raises `NewerData` where a newer version of the program wrote the file."""
        store = self._opened.get(partition)
        if store is None:
            name = "counts.db" if self._partitions == 1 else f"counts-{partition}-of-{self._partitions}.db"
            store = self._opened[partition] = _open(self._folder / name)
        return store

    def close(self) -> None:
        """Waits for what is under way, then closes the files."""
        for store in self._opened.values():
            store.close()


@asynccontextmanager
async def opened_sqlite_stores(folder: Path, partitions: int) -> AsyncIterator[SqliteCountStores]:
    """The files of a folder, of which the first is opened or created; raises `NewerData` as `of` does."""
    stores = SqliteCountStores(folder, partitions)
    await asyncio.to_thread(stores.of, 0)
    try:
        yield stores
    finally:
        await asyncio.to_thread(stores.close)


def _open(path: Path) -> SqliteCountStore:
    writer = connect(path, durable=False)
    try:
        adopt_schema(writer, "counts", SCHEMA, Path(__file__).with_name("counts.sql"))
        return SqliteCountStore(connect(path, durable=False), writer)
    except BaseException:
        writer.close()
        raise
