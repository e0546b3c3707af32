"""What users may see of conversations, for services that serve what belongs to messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.access.domain import BLOCK, UserAccess
from message_svc.domain import Role, Span
from message_svc.ports import ConversationReads, View

_NOTHING = UserAccess(False, (), 0)


class AccessQuery(NamedTuple):
    """Users and blocks of numbers of one conversation."""

    tenant: str
    conversation_id: str
    users: Sequence[str]
    blocks: Sequence[int]


class ConversationAccess(NamedTuple):
    """The answer to a query; `blocks`: the numbers that are messages, none where no user may see anything."""

    last_seq: int
    users: Sequence[UserAccess]
    blocks: Sequence[Sequence[int]]


class ConversationAccesses:
    """See the module."""

    def __init__(self, reads: ConversationReads) -> None:
        self._reads = reads

    async def get(self, queries: Sequence[AccessQuery]) -> list[ConversationAccess]:
        """The answers, in order. Raises `kit.errors.Unavailable`."""
        return [await self._get(query) for query in queries]

    async def _get(self, query: AccessQuery) -> ConversationAccess:
        views = [await self._reads.view(query.tenant, query.conversation_id, user) for user in query.users]
        views = [None if view is not None and view.head.close_ms else view for view in views]
        found = [view for view in views if view is not None]
        if not found:
            return ConversationAccess(0, [_NOTHING] * len(views), ())
        # The oldest of the views: what the blocks say is true for all of its numbers.
        last_seq = min(view.head.last_seq for view in found)
        blocks = [await self._messages(found[0], number, last_seq) for number in query.blocks]
        return ConversationAccess(last_seq, [_access(view) for view in views], blocks)

    async def _messages(self, view: View, number: int, last_seq: int) -> list[int]:
        span = Span(max(number * BLOCK, 1), min((number + 1) * BLOCK - 1, last_seq))
        if span.first > span.last:
            return []
        rows = await self._reads.messages(view, span, BLOCK, from_end=False)
        return [row.item.seq for row in rows if not row.delete_ms]


def _access(view: View | None) -> UserAccess:
    if view is None:
        return _NOTHING
    head, member = view.head, view.member
    spans = [Span(max(first, head.visible_from, 1), last) for first, last in member.spans]
    visible = tuple(span for span in spans if not span.last or span.first <= span.last)
    return UserAccess(member.role is not Role.NONE, visible, head.last_seq)
