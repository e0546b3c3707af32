"""The store of conversations in memory, which other tests rely on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kit.adapters.memory_ledger import MemoryLedgerStore
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.clock import ManualClock
from kit.ledger.event_log import ShardedEventLog
from message_svc.adapters.memory_moderation import MemoryModerationReads
from message_svc.adapters.memory_reads import MemoryReads, MemoryRetention
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.ledger import LEDGER
from tests.contract.messages.conversation_engine import Engine, opened_engine
from tests.contract.messages.conversation_lists import ConversationListContract
from tests.contract.messages.conversation_retention import RetentionContract
from tests.contract.messages.conversation_store import ConversationStoreContract
from tests.contract.messages.moderation_store import ModerationStoreContract


class MemoryStore(NamedTuple):
    """What two processes share."""

    ledger: MemoryLedgerStore
    tables: MemoryTables
    log: SqliteLog
    clock: ManualClock


@asynccontextmanager
async def memory_engine(store: MemoryStore) -> AsyncIterator[Engine]:
    ledger, tables, log, clock = store
    published = ShardedEventLog(log, LEDGER, ledger.incarnation)
    reads, retention, moderation = MemoryReads(tables), MemoryRetention(tables), MemoryModerationReads(tables)
    async with opened_engine(ledger, tables, reads, retention, moderation, log, clock, published) as engine:
        yield engine


class TestMemoryConversationStore(
    RetentionContract, ConversationStoreContract, ConversationListContract, ModerationStoreContract
):
    """In memory."""

    @pytest.fixture(name="store")
    async def fixture_store(self, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        async with open_sqlite_log(tmp_path / "log.db") as log:
            yield MemoryStore(MemoryLedgerStore(), MemoryTables(), log, ManualClock())

    @pytest.fixture(name="engine")
    async def fixture_engine(self, store: MemoryStore) -> AsyncIterator[Engine]:
        async with memory_engine(store) as engine:
            yield engine

    @pytest.fixture(name="other")
    async def fixture_other(self, store: MemoryStore) -> AsyncIterator[Engine]:
        async with memory_engine(store) as other:
            yield other
