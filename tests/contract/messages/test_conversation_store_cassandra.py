"""The store of conversations on Cassandra."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.ledger import open_cassandra_ledger
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.clock import ManualClock
from kit.ledger.event_log import ShardedEventLog
from message_svc.adapters.cassandra_reads import open_cassandra_reads
from message_svc.adapters.cassandra_tables import open_cassandra_tables
from message_svc.ledger import LEDGER
from tests.contract.messages.cassandra_conversations import fixture_keyspace, fixture_session
from tests.contract.messages.conversation_store import ConversationStoreContract, Engine, opened_engine

__all__ = ["fixture_keyspace", "fixture_session"]
_LEDGERS = count(1)


class Node:
    """A ledger of its own; engines are opened on it until the test ends, as in processes apart."""

    def __init__(self, session: Cassandra, folder: Path, leaving: AsyncExitStack) -> None:
        self._session = session
        self._folder = folder
        self._leaving = leaving
        self._name = f"{LEDGER}-{next(_LEDGERS)}"

    async def engine(self, clock: ManualClock) -> Engine:
        """Another engine on the ledger."""
        enter = self._leaving.enter_async_context
        log = await enter(open_sqlite_log(self._folder / "log.db"))
        ledger = await open_cassandra_ledger(self._session, self._name, 1)
        tables, reads = await open_cassandra_tables(self._session), await open_cassandra_reads(self._session)
        event_log = ShardedEventLog(log, LEDGER, ledger.incarnation)
        return await enter(opened_engine(ledger, tables, reads, log, clock, event_log))


class TestCassandraConversationStore(ConversationStoreContract):
    """On Cassandra."""

    @pytest.fixture(name="node")
    async def fixture_node(self, session: Cassandra, tmp_path: Path) -> AsyncIterator[Node]:
        async with AsyncExitStack() as leaving:
            yield Node(session, tmp_path, leaving)

    @pytest.fixture(name="engine")
    async def fixture_engine(self, node: Node) -> Engine:
        return await node.engine(ManualClock())

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, node: Node) -> Engine:
        return await node.engine(engine.clock)
