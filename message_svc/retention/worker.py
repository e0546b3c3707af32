"""Lets messages disappear when they are due, and removes their rows: on the node of the shard of a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from kit.clock import Clock
from kit.errors import Problem
from kit.tasks import background, run_with_backoff
from message_svc.actions import Action, HideBefore, RecordPurge
from message_svc.commands import Command, Refusal
from message_svc.config import Config
from message_svc.domain import Span
from message_svc.metrics import ITEMS_HIDDEN, ITEMS_PURGED
from message_svc.ports import ConversationLedger, DueConversation, ReactionErasure, RetentionRows

log = structlog.get_logger()
# Items whose rows are removed at once: other writers wait for as long as that takes.
_PURGE = 500


class RetentionWorker:
    """See the module. It has no state: what is to be done follows from the heads of conversations, so another node, or
    the same one after a crash, goes on where this one has stopped."""

    def __init__(
        self,
        rows: RetentionRows,
        ledger: ConversationLedger,
        reactions: ReactionErasure,
        clock: Clock,
        config: Config,
    ) -> None:
        self._rows = rows
        self._ledger = ledger
        self._reactions = reactions
        self._clock = clock
        self._config = config

    @asynccontextmanager
    async def of(self, shard: int) -> AsyncIterator[None]:
        """Works for a shard for the block."""
        async with background(run_with_backoff(f"retention {shard}", partial(self._run, shard))):
            yield

    async def run_due(self, shard: int) -> None:
        """Does what is due now. A conversation for which something fails stays due. Raises Unavailable."""
        can_purge = True
        async for page in self._rows.due(shard, self._now()):
            for conversation in page:
                is_purge = conversation.head.purged_before < conversation.head.visible_from
                if is_purge and not can_purge:
                    continue
                try:
                    await (self._purge(conversation) if is_purge else self._hide(conversation))
                except Problem as problem:
                    # Without reactions no rows are removed; messages of others disappear nevertheless.
                    can_purge = can_purge and not is_purge
                    log.warning("retention of a conversation is late", reason=str(problem), purge=is_purge)

    async def _run(self, shard: int) -> None:
        while True:
            await self.run_due(shard)
            await asyncio.sleep(self._config.retention_check_seconds)

    async def _hide(self, conversation: DueConversation) -> None:
        """Moves the boundary behind the messages that are old enough, or finds out when the next one is."""
        head = conversation.head
        boundary = await self._boundary(conversation)
        if boundary > max(head.visible_from, 1):
            due_ms = self._now() + round(self._config.purge_delay_seconds * 1_000)
            await self._apply(conversation, HideBefore(boundary, head.retention_seconds, due_ms))
            ITEMS_HIDDEN.inc(boundary - max(head.visible_from, 1))
        else:
            await self._record(conversation)

    async def _purge(self, conversation: DueConversation) -> None:
        """Removes the rows before the boundary, the reactions on their messages first."""
        head = conversation.head
        for first in range(max(head.purged_before, 1), head.visible_from, _PURGE):
            span = Span(first, min(first + _PURGE, head.visible_from) - 1)
            await self._reactions.erase(conversation.key, range(span.first, span.last + 1))
            await self._rows.purge(conversation, span)
            ITEMS_PURGED.inc(span.last - span.first + 1)
        await self._record(conversation)

    async def _record(self, conversation: DueConversation) -> None:
        """Records that nothing is left before the boundary, and when the first message behind it is due."""
        head = conversation.head
        due_ms = 0
        if head.retention_seconds:
            first_ms = await self._rows.time_of(conversation, max(head.visible_from, 1))
            due_ms = first_ms + head.retention_seconds * 1_000 if first_ms is not None else 0
        await self._apply(conversation, RecordPurge(head.visible_from, head.retention_seconds, due_ms))

    async def _boundary(self, conversation: DueConversation) -> int:
        """The number of the first item that is not old enough to disappear, by binary search: times never go back."""
        head = conversation.head
        before_ms = self._now() - head.retention_seconds * 1_000
        low = max(head.visible_from, 1)
        if not head.retention_seconds or head.update_ms <= before_ms:
            return head.last_seq + 1 if head.retention_seconds else low
        high = head.last_seq + 1
        while low < high:
            middle = (low + high) // 2
            time_ms = await self._rows.time_of(conversation, middle)
            if time_ms is not None and time_ms <= before_ms:
                low = middle + 1
            else:
                high = middle
        return low

    async def _apply(self, conversation: DueConversation, action: Action) -> None:
        (answer,) = await self._ledger.apply([Command(*conversation.key, "", "", action)])
        if isinstance(answer, Problem):
            raise answer
        assert not isinstance(answer, Refusal), answer

    def _now(self) -> int:
        return round(self._clock.now() * 1_000)
