"""The entries of a ledger in a SQLite file, and those in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from kit.adapters.memory_ledger import MemoryLedgerStore
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.adapters.sqlite.file import connect
from kit.adapters.sqlite.ledger import SqliteLedger, open_sqlite_ledger
from kit.errors import Unavailable, status_of
from kit.ledger.ports import Watermarks
from tests.contract.ledger.ledger_store import LedgerStoreContract, WatermarksContract, entry

LEDGER = "notes"


class TextTable:
    """A table of texts in the ledger's file: see `kit.adapters.sqlite.ledger.TransactionalTables`."""

    def __init__(self) -> None:
        self.times_rolled_back = 0

    def write_within(self, connection: apsw.Connection, writes: Any) -> None:
        connection.execute("INSERT INTO note VALUES (?)", (writes,))

    def rolled_back(self) -> None:
        self.times_rolled_back += 1


@asynccontextmanager
async def opened(path: Path, notes: TextTable) -> AsyncIterator[SqliteLedger]:
    """The ledger, as a process opens it."""
    async with open_sqlite_log(path, ledgers=[LEDGER]) as log, open_sqlite_ledger(log, LEDGER, notes) as ledger:
        yield ledger


def texts_in(path: Path) -> list[str]:
    connection = connect(path)
    try:
        return [str(text) for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]
    finally:
        connection.close()


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    """A file with a table of notes that are not empty."""
    path = tmp_path / "notes.db"
    connection = connect(path)
    connection.execute("CREATE TABLE note (text TEXT NOT NULL CHECK (text != ''))")
    connection.close()
    return path


@pytest.fixture(name="notes")
def fixture_notes() -> TextTable:
    return TextTable()


@pytest.fixture(name="store")
async def fixture_store(path: Path, notes: TextTable) -> AsyncIterator[SqliteLedger]:
    async with opened(path, notes) as ledger:
        yield ledger


class TestMemoryLedger(WatermarksContract):
    """In memory, where all who open a ledger are given the same one."""

    @pytest.fixture(name="store")
    def fixture_store(self) -> MemoryLedgerStore:
        return MemoryLedgerStore()

    @pytest.fixture(name="other")
    def fixture_other(self, store: MemoryLedgerStore) -> MemoryLedgerStore:
        return store


class TestSqliteLedger(LedgerStoreContract):
    """In a SQLite file."""

    writes = "written with the entry"

    @pytest.fixture(name="store")
    async def fixture_store(self, path: Path) -> AsyncIterator[SqliteLedger]:
        async with opened(path, TextTable()) as ledger:
            yield ledger

    @pytest.fixture(name="other")
    async def fixture_other(self, path: Path, store: SqliteLedger) -> AsyncIterator[SqliteLedger]:
        async with opened(path, TextTable()) as ledger:
            yield ledger


class TestOneStep:
    """An entry, the tables and the event log are one step."""

    async def test_tables_are_written_with_a_committed_entry_and_not_with_another(
        self, store: SqliteLedger, path: Path
    ) -> None:
        assert await store.commit(0, entry(1), "first")
        assert not await store.commit(0, entry(1), "again")
        assert not await store.commit(0, entry(3), "too far")
        assert await store.commit(0, entry(2), "second")
        assert texts_in(path) == ["first", "second"]

    async def test_an_entry_whose_tables_cannot_be_written_is_not_stored(
        self, store: SqliteLedger, path: Path, notes: TextTable
    ) -> None:
        assert await store.commit(0, entry(1), "first")
        with pytest.raises(Unavailable, match="nothing was done"):
            await store.commit(0, entry(2), "")
        assert notes.times_rolled_back == 1
        assert await store.tail(0, confirm=True) == 1
        assert await store.commit(0, entry(2), "second")
        assert texts_in(path) == ["first", "second"]

    async def test_a_full_disk_refuses_a_change_without_the_text_of_the_engine(
        self, store: SqliteLedger, path: Path, notes: TextTable
    ) -> None:
        assert await store.commit(0, entry(1), "first")
        store.connection.execute("PRAGMA max_page_count = 1").fetchall()  # as many pages as there are already
        with pytest.raises(Unavailable) as caught:
            await store.commit(0, entry(2), "x" * 1_000_000)
        assert caught.value.message == "the change could not be saved; nothing was done"
        assert "disk is full" in caught.value.detail
        assert status_of(caught.value, {}).message == caught.value.message
        assert texts_in(path) == ["first"]

    async def test_watermarks_are_the_last_entry_after_any_save(self, store: SqliteLedger) -> None:
        assert await store.watermarks(0) == Watermarks(0, 0)
        assert await store.commit(0, entry(1), "first")
        await store.save_watermarks(0, Watermarks(7, 7))
        assert await store.watermarks(0) == Watermarks(1, 1)
        assert await store.watermarks(1) == Watermarks(0, 0)

    async def test_the_topic_of_the_ledger_has_its_entries_by_their_names(self, path: Path, notes: TextTable) -> None:
        async with open_sqlite_log(path, ledgers=[LEDGER]) as log, open_sqlite_ledger(log, LEDGER, notes) as ledger:
            for position in (1, 2, 3):
                assert await ledger.commit(0, entry(position, payload=b"%d" % position), "x")
            records = await log.read(LEDGER, 1, 10)
            assert [(record.key, record.payload) for record in records] == [
                (f"{ledger.incarnation}/0/2", b"2"),
                (f"{ledger.incarnation}/0/3", b"3"),
            ]

    async def test_committed_entries_exist_when_the_file_is_opened_again(self, path: Path, notes: TextTable) -> None:
        async with opened(path, notes) as ledger:
            incarnation = ledger.incarnation
            assert await ledger.commit(0, entry(1), "first")
        async with opened(path, notes) as ledger:
            assert ledger.incarnation == incarnation
            assert list((await ledger.read(0, 0, 10)).entries) == [entry(1)]
            assert await ledger.commit(0, entry(2), "second")
