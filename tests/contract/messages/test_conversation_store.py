"""The store of conversations in a SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.adapters.sqlite.file import NewerData, connect
from kit.adapters.sqlite.ledger import open_sqlite_ledger
from kit.clock import ManualClock
from message_svc.actions import Delete, Send
from message_svc.adapters.sqlite_moderation import SqliteModerationReads
from message_svc.adapters.sqlite_reads import SqliteReads
from message_svc.adapters.sqlite_retention import SqliteRetention
from message_svc.adapters.sqlite_tables import SqliteTables
from message_svc.domain import Body, DeletedBy
from message_svc.ledger import LEDGER
from tests.contract.messages.conversation_engine import TENANT, Engine, items_on, opened_engine, pages_before
from tests.contract.messages.conversation_lists import ConversationListContract
from tests.contract.messages.conversation_retention import RetentionContract
from tests.contract.messages.conversation_store import ConversationStoreContract
from tests.contract.messages.moderation_store import ModerationStoreContract


@asynccontextmanager
async def sqlite_engine(path: Path, clock: ManualClock) -> AsyncIterator[Engine]:
    async with open_sqlite_log(path, ledgers=[LEDGER]) as log:
        with (
            closing(SqliteTables(path)) as tables,
            closing(SqliteReads(path)) as reads,
            closing(SqliteModerationReads(path)) as moderation,
        ):
            async with open_sqlite_ledger(log, LEDGER, tables) as store:
                with closing(SqliteRetention(path, store)) as retention:
                    async with opened_engine(store, tables, reads, retention, moderation, log, clock) as engine:
                        yield engine


class TestSqliteConversationStore(
    RetentionContract, ConversationStoreContract, ConversationListContract, ModerationStoreContract
):
    """In a SQLite file."""

    @pytest.fixture(name="engine")
    async def fixture_engine(self, tmp_path: Path) -> AsyncIterator[Engine]:
        async with sqlite_engine(tmp_path / "messages.db", ManualClock()) as engine:
            yield engine

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, tmp_path: Path) -> AsyncIterator[Engine]:
        async with sqlite_engine(tmp_path / "messages.db", engine.clock) as other:
            yield other


@pytest.mark.parametrize("skew", [-5.0, 5.0])
async def test_a_process_whose_clock_is_five_seconds_off_changes_no_order(tmp_path: Path, skew: float) -> None:
    path, clock = tmp_path / "messages.db", ManualClock()
    async with sqlite_engine(path, clock) as one, sqlite_engine(path, ManualClock(clock.now() + skew)) as other:
        group = await one.group("alice", "bob")
        for number in range(10):
            for engine, user in ((one, "alice"), (other, "bob")):
                await engine.do(group, user, Send(Body(f"{number}")))
        items = await items_on(other.log, 21)
        assert [item.seq for item in items] == list(range(1, 22))
        assert [item.actor for item in items[1:]] == ["alice", "bob"] * 10
        assert [item.time_ms for item in items] == sorted(item.time_ms for item in items)
        for engine in (one, other):
            assert await pages_before(engine, group, "alice", 8) == [
                list(range(14, 22)), list(range(6, 14)), list(range(2, 6)),
            ]  # fmt: skip


async def test_a_file_of_an_older_program_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    async with sqlite_engine(path, ManualClock()) as engine:
        group = await engine.group("alice", "bob")
        sent = await engine.do(group, "bob", Send(Body("hi")))
        await engine.do(group, "alice", Delete(sent.seq))
    with closing(connect(path)) as connection:
        for table, column in (
            ("item", "deleted_by"),
            ("item", "forwards"),
            ("conversation", "pinned_messages"),
            ("conversation", "close_ms"),
            ("member", "archived_seq"),
            ("member", "marked_unread"),
            ("member", "draft_ms"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE draft")
        connection.execute("DROP INDEX member_former")
        connection.execute("DROP INDEX conversation_retention_due")
        for column in ("retention_seconds", "hidden_ordinal", "purged_before", "retention_due_ms"):
            connection.execute(f"ALTER TABLE conversation DROP COLUMN {column}")
        connection.execute("DROP INDEX report_reporter")
        connection.execute("UPDATE plaudit_schema SET version = 1 WHERE component LIKE 'message_%'")
    async with sqlite_engine(path, ManualClock()) as engine:
        rows = await engine.reads.find_items(await engine.view(group, "bob"), [sent.seq])
        assert (rows[sent.seq].delete_ms > 0, rows[sent.seq].deleted_by) == (True, DeletedBy.NOBODY)
        assert [view.key[1] for view in await engine.reads.memberships(TENANT, "bob", -1, 9)] == [group]
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'report_reporter'").fetchall()


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    SqliteTables(path).close()
    with closing(connect(path)) as connection:
        connection.execute("UPDATE plaudit_schema SET version = 99 WHERE component = 'message_svc'")
    with pytest.raises(NewerData):
        SqliteTables(path)
