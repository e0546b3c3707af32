"""What every engine of the event log promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import apsw
import pytest

from kit.adapters.kafka.event_log import KafkaLog, open_kafka
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.adapters.sqlite.file import NewerData, connect
from kit.adapters.sqlite.ledger import open_sqlite_ledger
from kit.errors import Unavailable
from kit.event_log.ports import Log
from kit.ledger.entry import Entry, EntryName, parse_name
from tests.engines import Engines
from tests.topics import topics


class EventLogContract:
    """Give the class a fixture `log`, empty, and `other`: the same log as another process has it open."""

    async def test_records_are_read_in_the_order_they_were_appended(self, log: Log) -> None:
        positions = [await log.append("t", str(i), b"%d" % i) for i in range(5)]
        records = await log.read("t", 0, 100)
        assert [(r.position, r.key, r.payload) for r in records] == [
            (position, str(i), b"%d" % i) for i, position in enumerate(positions)
        ]
        assert positions == sorted(set(positions))

    async def test_records_that_are_appended_together_stay_in_the_order_of_the_calls(self, log: Log) -> None:
        positions = await asyncio.gather(*(log.append("t", f"{n}", b"%d" % n) for n in range(50)))
        assert positions == sorted(set(positions))
        records = await log.read("t", 0, 100)
        assert [(one.position, one.payload) for one in records] == [
            (position, b"%d" % n) for n, position in enumerate(positions)
        ]

    async def test_reading_continues_after_a_position_and_stops_at_the_limit(self, log: Log) -> None:
        for i in range(5):
            await log.append("t", "k", b"%d" % i)
        first = await log.read("t", 0, 2)
        rest = await log.read("t", first[-1].position, 100)
        assert [r.payload for r in [*first, *rest]] == [b"0", b"1", b"2", b"3", b"4"]
        assert len(first) == 2

    async def test_topics_do_not_mix(self, log: Log) -> None:
        await log.append("a", "k", b"a")
        await log.append("b", "k", b"b")
        assert [r.payload for r in await log.read("a", 0, 10)] == [b"a"]
        assert await log.read("c", 0, 10) == []

    async def test_an_empty_topic_has_no_bounds(self, log: Log) -> None:
        assert await log.bounds("t") == (0, 0)

    async def test_the_bounds_are_the_oldest_and_the_last_position(self, log: Log) -> None:
        positions = [await log.append("t", "k", b"x") for _ in range(3)]
        await log.append("u", "k", b"x")
        assert await log.bounds("t") == (positions[0], positions[-1])

    async def test_waiting_returns_immediately_if_a_record_after_the_position_exists(self, log: Log) -> None:
        await log.append("t", "k", b"x")
        async with asyncio.timeout(1):
            await log.wait("t", 0)

    async def test_waiting_ends_when_the_record_is_appended(self, log: Log) -> None:
        last = await log.append("t", "k", b"x")
        waiting = asyncio.create_task(log.wait("t", last))
        await log.append("u", "k", b"another topic")
        await asyncio.sleep(0)
        assert not waiting.done()
        await log.append("t", "k", b"y")
        async with asyncio.timeout(1):
            await waiting

    async def test_waiting_ends_when_another_process_appends(self, log: Log, other: Log) -> None:
        waiting = asyncio.create_task(log.wait("t", 0))
        await asyncio.sleep(0)
        await other.append("t", "k", b"x")
        async with asyncio.timeout(1):
            await waiting
        assert [r.payload for r in await log.read("t", 0, 10)] == [b"x"]

    async def test_trimming_deletes_records_before_the_position(self, log: Log) -> None:
        positions = [await log.append("t", "k", b"x") for _ in range(200)]
        await log.append("u", "k", b"of another topic")
        await log.trim("t", positions[150])
        assert [r.position for r in await log.read("t", 0, 1000)] == positions[150:]
        assert await log.bounds("t") == (positions[150], positions[-1])
        assert len(await log.read("u", 0, 10)) == 1

    async def test_trimming_keeps_the_newest_record(self, log: Log) -> None:
        positions = [await log.append("t", "k", b"x") for _ in range(3)]
        await log.trim("t", positions[-1] + 100)
        assert await log.bounds("t") == (positions[-1], positions[-1])
        assert await log.append("t", "k", b"x") > positions[-1]

    async def test_a_cancelled_wait_does_not_change_the_log(self, log: Log) -> None:
        waiting = asyncio.create_task(log.wait("t", 0))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await log.append("t", "k", b"x")
        assert len(await log.read("t", 0, 10)) == 1


class TestKafkaLog(EventLogContract):
    """In topics of Kafka."""

    TOPICS: ClassVar = dict.fromkeys("abctu", 1)

    @pytest.fixture(name="url")
    async def fixture_url(self, engines: Engines) -> AsyncIterator[str]:
        async with topics(engines.kafka(), self.TOPICS) as url:
            yield url

    @pytest.fixture(name="log")
    async def fixture_log(self, url: str) -> AsyncIterator[KafkaLog]:
        async with open_kafka(url, self.TOPICS) as log:
            yield log

    @pytest.fixture(name="other")
    async def fixture_other(self, url: str, log: KafkaLog) -> AsyncIterator[KafkaLog]:
        async with open_kafka(url, self.TOPICS) as other:
            yield other


class NoTables:
    """Tables that keep nothing, or cannot be written."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    def write_within(self, connection: apsw.Connection, writes: object) -> None:
        if self._failure is not None:
            raise self._failure

    def rolled_back(self) -> None:
        """There is nothing."""


class TestSqliteLog(EventLogContract):
    """In a SQLite file."""

    @pytest.fixture(name="log")
    async def fixture_log(self, tmp_path: Path) -> AsyncIterator[SqliteLog]:
        async with open_sqlite_log(tmp_path / "log.db") as log:
            yield log

    @pytest.fixture(name="other")
    async def fixture_other(self, log: SqliteLog) -> AsyncIterator[SqliteLog]:
        async with self._again(log.path) as other:
            yield other

    def _again(self, path: Path) -> AbstractAsyncContextManager[SqliteLog]:
        return open_sqlite_log(path)

    async def test_records_survive_a_restart(self, tmp_path: Path) -> None:
        async with open_sqlite_log(tmp_path / "log.db") as log:
            last = await log.append("t", "k", b"x")
        async with open_sqlite_log(tmp_path / "log.db") as log:
            assert await log.bounds("t") == (last, last)

    async def test_the_topic_of_a_ledger_has_its_entries_named_by_shard_and_position(self, tmp_path: Path) -> None:
        async with open_sqlite_log(tmp_path / "log.db", ledgers=["l"]) as log:
            async with open_sqlite_ledger(log, "l", NoTables()) as ledger:
                waiting = asyncio.create_task(log.wait("l", 0))
                assert await ledger.commit(0, Entry(1, "a", 10, b"first"), None)
                async with asyncio.timeout(1):
                    await waiting
                assert not await ledger.commit(0, Entry(1, "b", 11, b"other"), None)
                assert await ledger.commit(0, Entry(2, "c", 12, b"second"), None)
            records = await log.read("l", 0, 10)
            assert [record.payload for record in records] == [b"first", b"second"]
            assert [parse_name(record.key) for record in records] == [
                EntryName(log.incarnation("l"), 0, position) for position in (1, 2)
            ]
            assert await log.bounds("l") == (1, 2)
            await log.trim("l", 2)
            assert await log.bounds("l") == (2, 2)

    async def test_entries_of_alternating_processes_are_read_in_order_by_each(self, tmp_path: Path) -> None:
        path = tmp_path / "log.db"
        async with (
            open_sqlite_log(path, ledgers=["l"]) as log,
            open_sqlite_log(path, ledgers=["l"]) as other,
            open_sqlite_ledger(log, "l", NoTables()) as ledger,
            open_sqlite_ledger(other, "l", NoTables()) as theirs,
        ):
            read: list[bytes] = []
            for position, store in enumerate([ledger, ledger, theirs, ledger, theirs, theirs, ledger], start=1):
                waiting = asyncio.create_task(log.wait("l", len(read)))
                await asyncio.sleep(0)
                assert await store.commit(0, Entry(position, f"{position}", position, b"%d" % position), None)
                async with asyncio.timeout(1):
                    await waiting
                read += [record.payload for record in await log.read("l", len(read), 10)]
            assert read == [b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
            assert [record.payload for record in await log.read("l", 4, 2)] == [b"5", b"6"]
            assert await other.bounds("l") == (1, 7)
            assert [record.position for record in await other.read("l", 3, 10)] == [4, 5, 6, 7]

    async def test_entries_of_this_process_are_read_from_memory_until_they_are_trimmed(self, tmp_path: Path) -> None:
        async with (
            open_sqlite_log(tmp_path / "log.db", ledgers=["l"]) as log,
            open_sqlite_ledger(log, "l", NoTables()) as ledger,
        ):
            for position in (1, 2, 3):
                assert await ledger.commit(0, Entry(position, f"{position}", position, b"x"), None)
            connection = connect(log.path)
            connection.execute("DELETE FROM ledger_entry WHERE position < 3")
            connection.close()
            assert [record.position for record in await log.read("l", 0, 10)] == [1, 2, 3]
            await log.trim("l", 3)
            assert [record.position for record in await log.read("l", 0, 10)] == [3]

    async def test_an_entry_whose_tables_cannot_be_written_is_never_read(self, tmp_path: Path) -> None:
        async with (
            open_sqlite_log(tmp_path / "log.db", ledgers=["l"]) as log,
            open_sqlite_ledger(log, "l", NoTables(ZeroDivisionError())) as ledger,
        ):
            with pytest.raises(ZeroDivisionError):
                await ledger.commit(0, Entry(1, "a", 10, b"first"), None)
            assert await log.bounds("l") == (0, 0)
            assert await ledger.tail(0, confirm=True) == 0

    async def test_data_of_a_newer_version_is_refused_in_one_line(self, tmp_path: Path) -> None:
        async with open_sqlite_log(tmp_path / "log.db"):
            pass
        connection = connect(tmp_path / "log.db")
        connection.execute("UPDATE plaudit_schema SET version = 99")
        connection.close()
        with pytest.raises(NewerData, match=r"schema version 99, this program knows 1") as refused:
            async with open_sqlite_log(tmp_path / "log.db"):
                pass
        assert "\n" not in str(refused.value)

    async def test_a_file_that_is_no_database_makes_the_log_unavailable(self, tmp_path: Path) -> None:
        async with open_sqlite_log(tmp_path / "log.db") as log:
            await log.append("t", "k", b"x")
            connection = connect(log.path)
            connection.execute("DROP TABLE event_log")
            connection.close()
            with pytest.raises(Unavailable):
                await log.read("t", 0, 10)
