"""The messages that a device has not acknowledged, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from message_svc.domain import Kind, Span
from message_svc.member_views import cursor_of, pending_span
from message_svc.ports import ConversationReads, StoredItem, View

_PAGE = 500
_PAGE_BYTES = 256 * 1024
# Conversations read at a time.
_INBOX = 250
# The clocks of nodes, and the moment between a push and its ack.
_SKEW_MS = 60_000


class PendingPosition(NamedTuple):
    """Where a page begins: after an item of a conversation. `since_ms`: for conversations in which the device has
    acknowledged nothing, the time of the first messages it lacks; -1: the device is new."""

    ref: int
    seq: int
    since_ms: int


class PendingPage(NamedTuple):
    """Messages with their conversations. `incomplete`: conversations of which earlier ones are left out; `next`: None
    on the last page."""

    messages: Sequence[tuple[str, StoredItem]]
    incomplete: Sequence[str]
    next: PendingPosition | None


class PendingMessages:
    """See the module. Raises `kit.errors.Unavailable`."""

    def __init__(self, reads: ConversationReads) -> None:
        self._reads = reads

    async def page(self, tenant: str, user: str, device: str, position: PendingPosition | None) -> PendingPage:
        """A page; `position` None: the first one."""
        if position is None:
            position = PendingPosition(0, 0, await self._known_since(tenant, user, device))
        messages: list[tuple[str, StoredItem]] = []
        incomplete: list[str] = []
        size = 0
        views = await self._reads.inbox(tenant, user, position.ref - 1, _INBOX)
        for view in views:
            span, is_incomplete = pending_span(view.head, view.member, device, is_known=position.since_ms >= 0)
            if view.ref == position.ref and position.seq:
                span, is_incomplete = Span(position.seq + 1, view.head.last_seq), False
            if span.first > span.last:
                continue
            if is_incomplete:
                incomplete.append(view.key[1])
            limit = _PAGE - len(messages)
            rows = await self._reads.messages(view, span, limit, from_end=False)
            for row in rows:
                size += len(row.item.body.content.encode()) if row.item.body is not None else 0
                if self._is_pending(view, row, device, position):
                    messages.append((view.key[1], row))
                if size >= _PAGE_BYTES:
                    return PendingPage(messages, incomplete, PendingPosition(view.ref, row.item.seq, position.since_ms))
            if len(rows) == limit:
                last = PendingPosition(view.ref, rows[-1].item.seq, position.since_ms)
                return PendingPage(messages, incomplete, last)
        if len(views) < _INBOX:
            return PendingPage(messages, incomplete, None)
        return PendingPage(messages, incomplete, PendingPosition(views[-1].ref + 1, 0, position.since_ms))

    @staticmethod
    def _is_pending(view: View, row: StoredItem, device: str, position: PendingPosition) -> bool:
        if row.delete_ms:
            return False
        return cursor_of(view.member, device) is not None or row.item.time_ms >= position.since_ms

    async def _known_since(self, tenant: str, user: str, device: str) -> int:
        """A time at which the device was connected: that of a message it has acknowledged; -1: there is none.

        What it lacks where it has acknowledged nothing came after that: otherwise it would have acknowledged it, too.
        """
        oldest: View | None = None
        after = 0
        while views := await self._reads.inbox(tenant, user, after, _INBOX):
            for view in views:
                is_older = oldest is None or view.head.update_ms < oldest.head.update_ms
                if is_older and view.head.kind is not Kind.CHANNEL and cursor_of(view.member, device):
                    oldest = view
            if len(views) < _INBOX:
                break
            after = views[-1].ref
        if oldest is None:
            return -1
        seq = cursor_of(oldest.member, device) or 0
        found = (await self._reads.find_items(oldest, [seq])).get(seq)
        return max(0, found.item.time_ms - _SKEW_MS) if found is not None else 0
