"""Reads the messages and the numbered changes of a conversation, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.access.errors import MessageNotFound
from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, InvalidCursor, page_size
from kit.errors import Invalid
from kit.message_ids import MESSAGE
from message_svc.domain import ItemType, Role, Span
from message_svc.member_views import is_in, visible_spans
from message_svc.ports import ConversationReads, StoredItem, View
from message_svc.service.conversations import view_of
from message_svc.service.refusals import seq_in

_PAGE, _MAX_PAGE = 50, 200


class MessagePage(NamedTuple):
    """Messages, oldest first, and the tokens of the pages next to it; "": there is none."""

    messages: Sequence[StoredItem]
    older_token: str
    newer_token: str


class ChangePage(NamedTuple):
    """Items in order, the messages that they edited or deleted, and the last number that the user may see.

    Items below `visible_from` have disappeared.
    """

    items: Sequence[StoredItem]
    subjects: dict[int, StoredItem]
    last_seq: int
    visible_from: int = 0


class History:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(self, reads: ConversationReads, cursors: Cursors) -> None:
        self._reads = reads
        self._cursors = cursors

    async def messages(
        self, who: Caller, conversation_id: str, before: str, after: str, around: str, size: int
    ) -> MessagePage:
        """A page of messages; of `before`, `after` and `around` at most one is given."""
        if sum(map(bool, (before, after, around))) > 1:
            raise Invalid("give one of before, after and around", field="after" if after else "around")
        view = await view_of(self._reads, who, conversation_id)
        size = page_size(size, _PAGE, _MAX_PAGE)
        if around:
            middle = await self._visible_seq(view, around)
            older = await self._read_before(view, middle + 1, (size + 1) // 2 + 1)
            newer = await self._read_after(view, middle, size // 2 + 1)
            return self._page(who, view, older, newer, (size + 1) // 2, size // 2)
        if after:
            return self._page(
                who,
                view,
                [],
                await self._read_after(view, self._position(who, view, after, "after"), size + 1),
                0,
                size,
            )
        position = self._position(who, view, before, "before") if before else view.head.last_seq + 1
        return self._page(who, view, await self._read_before(view, position, size + 1), [], size, 0)

    async def changes(self, who: Caller, conversation_id: str, after: int, size: int) -> ChangePage:
        """The items after a number, in order, and the messages they are about."""
        view = await view_of(self._reads, who, conversation_id)
        size = page_size(size, _PAGE, _MAX_PAGE)
        spans = visible_spans(view.head, view.member)
        items: list[StoredItem] = []
        for first, last in spans:
            if last > after and len(items) < size:
                items += await self._reads.items(view, Span(max(first, after + 1), last), size - len(items))
        wanted = [row.item.subject for row in items if is_in(spans, row.item.subject)]
        subjects = dict(await self._reads.find_items(view, wanted)) if wanted else {}
        # A member has seen all there is, also where all of it has disappeared.
        last_seq = view.head.last_seq if view.member.role is not Role.NONE else spans[-1].last if spans else 0
        return ChangePage(items, subjects, last_seq, view.head.visible_from)

    def _page(
        self,
        who: Caller,
        view: View,
        older: Sequence[StoredItem],
        newer: Sequence[StoredItem],
        older_size: int,
        newer_size: int,
    ) -> MessagePage:
        """The page of the last `older_size` and the first `newer_size` rows. One more row shows that there are more."""
        has_older, has_newer = len(older) > older_size, len(newer) > newer_size
        rows = [*older[max(0, len(older) - older_size) :], *newer[:newer_size]]
        if not rows:
            return MessagePage([], "", "")
        scope = _scope(who, view)
        first, last = rows[0].item.seq, rows[-1].item.seq
        if not newer_size:
            # A page before a position: messages at it and after it may follow.
            has_newer = last < view.head.last_message_seq
        if not older_size:
            has_older = True
        return MessagePage(
            rows,
            self._cursors.seal(scope, str(first)) if has_older else "",
            self._cursors.seal(scope, str(last)) if has_newer else "",
        )

    async def _read_before(self, view: View, before: int, limit: int) -> list[StoredItem]:
        rows: list[StoredItem] = []
        for first, last in reversed(visible_spans(view.head, view.member)):
            span = Span(first, min(last, before - 1))
            if span.first <= span.last and len(rows) < limit:
                rows = [*await self._reads.messages(view, span, limit - len(rows), from_end=True), *rows]
        return rows

    async def _read_after(self, view: View, after: int, limit: int) -> list[StoredItem]:
        rows: list[StoredItem] = []
        for first, last in visible_spans(view.head, view.member):
            span = Span(max(first, after + 1), last)
            if span.first <= span.last and len(rows) < limit:
                rows += await self._reads.messages(view, span, limit - len(rows), from_end=False)
        return rows

    def _position(self, who: Caller, view: View, position: str, field: str) -> int:
        """The number in a page token, or of a message; raises InvalidCursor and MessageNotFound."""
        if position.startswith(MESSAGE):
            return seq_in(view.key[1], position, field)
        try:
            return int(self._cursors.open(_scope(who, view), position))
        except InvalidCursor as error:
            error.field = field
            raise

    async def _visible_seq(self, view: View, message: str) -> int:
        seq = seq_in(view.key[1], message, "around")
        row = (await self._reads.find_items(view, [seq])).get(seq)
        is_message = row is not None and row.item.type is ItemType.MESSAGE
        if not is_message or not is_in(visible_spans(view.head, view.member), seq):
            raise MessageNotFound("the conversation has no such message", field="around")
        return seq


def _scope(who: Caller, view: View) -> tuple[str, ...]:
    return ("messages", who.tenant, who.user, view.key[1])
