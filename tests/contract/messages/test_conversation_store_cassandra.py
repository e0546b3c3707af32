"""The store of conversations on Cassandra."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.ledger import open_cassandra_ledger
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.clock import ManualClock
from kit.errors import Problem
from kit.ledger.event_log import ShardedEventLog
from message_svc.actions import RemoveMember, Send
from message_svc.adapters.cassandra_lists import open_cassandra_lists
from message_svc.adapters.cassandra_moderation import open_cassandra_moderation
from message_svc.adapters.cassandra_reads import open_cassandra_reads
from message_svc.adapters.cassandra_retention import open_cassandra_retention
from message_svc.adapters.cassandra_tables import open_cassandra_tables
from message_svc.commands import Command
from message_svc.conversation_lists import SMALL_MEMBERS, ConversationLists
from message_svc.domain import Body
from message_svc.ledger import LEDGER
from message_svc.service.pending import PendingMessages
from tests.contract.messages.cassandra_conversations import fixture_keyspace, fixture_session
from tests.contract.messages.conversation_engine import TENANT, Engine, opened_engine
from tests.contract.messages.conversation_lists import ConversationListContract
from tests.contract.messages.conversation_retention import RetentionContract
from tests.contract.messages.conversation_store import ConversationStoreContract
from tests.contract.messages.moderation_store import ModerationStoreContract

__all__ = ["fixture_keyspace", "fixture_session"]
_LEDGERS = count(1)
CONVERSATIONS, MESSAGES = 200, 50


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
        moderation = await open_cassandra_moderation(self._session)
        event_log = ShardedEventLog(log, LEDGER, ledger.incarnation)
        lists = ConversationLists(reads, await open_cassandra_lists(self._session))
        retention = await open_cassandra_retention(self._session)
        return await enter(opened_engine(ledger, tables, reads, retention, moderation, log, clock, event_log, lists))


class TestCassandraConversationStore(
    RetentionContract, ConversationStoreContract, ConversationListContract, ModerationStoreContract
):
    """On Cassandra."""

    @pytest.fixture(name="node")
    async def fixture_node(self, session: Cassandra, tmp_path: Path) -> AsyncIterator[Node]:
        async with AsyncExitStack() as leaving:
            yield Node(session, tmp_path, leaving)

    @pytest.fixture(name="engine")
    async def fixture_engine(self, node: Node) -> Engine:
        return await node.engine(ManualClock())

    async def test_a_large_conversation_is_in_its_place_without_a_write_for_each_member(self, engine: Engine) -> None:
        members = tuple(f"u{number}" for number in range(SMALL_MEMBERS))
        large, small = await engine.group("alice", *members), await engine.group("alice", "u1", op_id="small")
        await engine.settled()
        assert [view.key[1] for view in await engine.reads.list(TENANT, "u2", None, 9)] == [large]
        await engine.do(large, "u1", Send(Body("hi")))
        assert [view.key[1] for view in await engine.reads.list(TENANT, "alice", None, 9)] == [large, small]
        # It is small again.
        await engine.do(large, "alice", RemoveMember("u5"))
        await engine.do(small, "u1", Send(Body("hi")))
        await engine.do(large, "u1", Send(Body("hi")))
        await engine.settled()
        assert [view.key[1] for view in await engine.reads.list(TENANT, "alice", None, 9)] == [large, small]

    @pytest.mark.timeout(300)
    async def test_ten_thousand_pending_messages_of_two_hundred_conversations_are_read_within_five_seconds(
        self, engine: Engine
    ) -> None:
        groups = [await engine.group("alice", "bob", op_id=f"group-{number}") for number in range(CONVERSATIONS)]
        sends = [
            Command(TENANT, group, "alice", f"{number}", Send(Body(f"message {number}")))
            for group in groups
            for number in range(MESSAGES)
        ]
        for start in range(0, len(sends), 500):
            some: Sequence[Command] = sends[start : start + 500]
            while some:  # a busy machine may not answer in time
                answers = await engine.ledger.apply(some)
                some = [one for one, answer in zip(some, answers, strict=True) if isinstance(answer, Problem)]
        pending, position = PendingMessages(engine.reads), None
        found: dict[str, list[int]] = {}
        began = time.monotonic()
        while True:
            page = await pending.page(TENANT, "bob", "phone", position)
            for name, row in page.messages:
                found.setdefault(name, []).append(row.item.seq)
            position = page.next
            if position is None:
                break
        seconds = time.monotonic() - began
        print(f"{CONVERSATIONS * MESSAGES} messages of {CONVERSATIONS} conversations in {seconds:.1f} s")
        assert found == {group: list(range(2, MESSAGES + 2)) for group in groups}
        assert seconds < 5

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, node: Node) -> Engine:
        return await node.engine(engine.clock)
