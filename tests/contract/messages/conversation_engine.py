"""A process that decides on conversations, on a store under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors
from kit.clock import ManualClock
from kit.cluster.routing import shard_of
from kit.event_log.ports import EventLog
from kit.ledger.node import running_node
from kit.ledger.ports import LedgerEventLog, LedgerStore, Tables
from kit.ledger.shard.limits import ShardLimits
from kit.message_ids import group_id
from message_svc.actions import Action, CreateGroup
from message_svc.codec.entries import EntryCodec
from message_svc.commands import Command, Outcome
from message_svc.conversation_lists import ConversationLists
from message_svc.domain import ConversationChange, Item
from message_svc.ledger import LEDGER, ShardedConversations
from message_svc.model.model import MessageModel, ModelLimits
from message_svc.ports import ConversationLedger, ConversationReads, ModerationReads, RetentionRows, View
from message_svc.service.history import History

TENANT = "acme"
SECONDS = 20.0
"""What a call may take; a busy machine is slow, not wrong."""


class Engine(NamedTuple):
    """A store, its event log, and the clock."""

    ledger: ConversationLedger
    reads: ConversationReads
    retention: RetentionRows
    moderation: ModerationReads
    log: EventLog
    clock: ManualClock
    settled: Callable[[], Awaitable[None]]
    """Returns when all that is written after an answer is written."""

    async def do(self, conversation_id: str, user: str, action: Action, op_id: str = "") -> Outcome:
        """The outcome of a command that is not refused."""
        command = Command(TENANT, conversation_id, user, op_id or f"{user}-{id(action)}-{self.clock.now()}", action)
        self.clock.advance(0.01)
        (answer,) = await self.ledger.apply([command])
        assert isinstance(answer, Outcome), answer
        return answer

    async def group(self, creator: str, *others: str, op_id: str = "g") -> str:
        conversation_id = group_id(TENANT, creator, op_id)
        await self.do(conversation_id, creator, CreateGroup("Team", "", others), op_id)
        return conversation_id

    async def view(self, conversation_id: str, user: str) -> View:
        view = await self.reads.view(TENANT, conversation_id, user)
        assert view is not None
        return view

    async def unread(self, conversation_id: str, user: str) -> int:
        (summary,) = await self.reads.summaries([await self.view(conversation_id, user)])
        return summary.unread


@asynccontextmanager
async def opened_engine(
    store: LedgerStore,
    tables: Tables,
    reads: ConversationReads,
    retention: RetentionRows,
    moderation: ModerationReads,
    log: EventLog,
    clock: ManualClock,
    event_log: LedgerEventLog | None = None,
    lists: ConversationLists | None = None,
) -> AsyncIterator[Engine]:
    """A node that owns the only shard, as far as it knows."""
    # So little fits into memory that it is often given up and loaded again.
    limits, on_entry = ModelLimits(weight=20), lists.record if lists is not None else None
    async with running_node(
        LEDGER, 1, store, tables, event_log, lambda: MessageModel(EntryCodec(), limits, on_entry), clock, ShardLimits(),
        lambda _: True,
    ) as node:  # fmt: skip

        async def settled() -> None:
            if lists is not None:
                await lists.flush()

        execute = partial(node.execute, timeout=SECONDS)
        yield Engine(ShardedConversations(1, execute, shard_of), reads, retention, moderation, log, clock, settled)


async def changes_on(log: EventLog, last: int) -> list[ConversationChange]:
    """The changes on the log, from the first one up to the one with the item of that number; entries may be there
    twice."""
    found: list[ConversationChange] = []
    position = 0
    async with asyncio.timeout(SECONDS):
        while not any(item.seq == last for change in found for item in change.items):
            records = await log.read(LEDGER, position, 1_000)
            for record in records:
                found += EntryCodec().decode(record.payload, 0)
                position = record.position
            if not records:
                await log.wait(LEDGER, position)
    return found


async def items_on(log: EventLog, last: int) -> list[Item]:
    """The items on the log, from the first one up to the one with that number."""
    items = [item for change in await changes_on(log, last) for item in change.items]
    return list({item.seq: item for item in items}.values())


def history(engine: Engine) -> History:
    return History(engine.reads, Cursors(b"0" * 32, engine.clock, 60.0))


async def pages_before(engine: Engine, conversation_id: str, user: str, size: int) -> list[list[int]]:
    """The numbers of all messages, page by page from the latest one."""
    pages, token, who = [], "", Caller(TENANT, user)
    while True:
        page = await history(engine).messages(who, conversation_id, token, "", "", size)
        pages.append([row.item.seq for row in page.messages])
        token = page.older_token
        if not token:
            return pages
