"""Erases and exports what conversations keep of a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.clock import Clock
from kit.errors import Problem, Unavailable
from kit.tenant_keys import UserKey
from message_svc.actions import Action, EraseMember, EraseMessages
from message_svc.commands import Command, Reason, Refusal
from message_svc.domain import MAX_SPANS, Kind, Role, Span
from message_svc.people.ports import Progress
from message_svc.ports import PART_ITEMS, ConversationLedger, ConversationReads, StoredItem, View

_CONVERSATIONS = 100
_MESSAGES = 100
_RECORDS = 200
_PAGE_BYTES = 256 * 1024
# Parts that are read for a page.
_PARTS = 50
_CALL_SECONDS = 3.0


class Position(NamedTuple):
    """A position of an export: a conversation, and the number of an item in it; 0: after the conversation."""

    ref: int
    seq: int


BEGIN = Position(-1, 0)


class Membership(NamedTuple):
    """A membership. `draft`: what the user has written and not sent; "": nothing."""

    view: View
    draft: str


class ConversationPage(NamedTuple):
    """Memberships with their drafts, and messages with their conversations; `next`: None on the last page."""

    records: list[Membership | tuple[str, StoredItem]]
    next: Position | None


class ConversationErasure:
    """See the module. The rows of memberships say what is left: that of a conversation is erased last."""

    def __init__(self, ledger: ConversationLedger, reads: ConversationReads, clock: Clock) -> None:
        self._ledger = ledger
        self._reads = reads
        self._clock = clock

    async def erase(self, key: UserKey) -> Progress:
        """Erases for some seconds. Raises Problem; what was erased stays erased."""
        until = self._clock.monotonic() + _CALL_SECONDS
        erased, after = 0, -1
        while views := await self._reads.memberships(*key, after, _CONVERSATIONS):
            for view in views:
                for part in parts_of(view):
                    erased += await self._erase_messages(view, part)
                    if self._clock.monotonic() > until:
                        return Progress(erased, False)
                erased += await self._erase_member(view)
            after = views[-1].ref
        return Progress(erased, True)

    async def _erase_messages(self, view: View, part: Span) -> int:
        erased = 0
        while seqs := await self._reads.messages_by(view, view.member.user, part, _MESSAGES):
            answer = await self._execute(view, EraseMessages(tuple(seqs)))
            if answer is not None:
                return erased  # the person was erased by another process
            erased += len(seqs)
            part = Span(seqs[-1] + 1, part.last)
        return erased

    async def _erase_member(self, view: View) -> int:
        successor = ""
        if view.head.kind is Kind.CHANNEL and view.member.role is Role.ADMIN:
            others = [row.user for row in await self._reads.members(view, "", 2) if row.user != view.member.user]
            successor = others[0] if others else ""
        if await self._execute(view, EraseMember(successor)) is Reason.LAST_ADMIN:
            raise Unavailable("the next admin of a channel has just left; call again", retry_after=0.1)
        return 1

    async def _execute(self, view: View, action: Action) -> Reason | None:
        """The reason of a refusal; raises Problem."""
        (answer,) = await self._ledger.apply([Command(*view.key, view.member.user, "", action)])
        if isinstance(answer, Problem):
            raise answer
        return answer.reason if isinstance(answer, Refusal) else None


class ConversationExport:
    """See the module. After each membership follow the messages that the person has sent there."""

    def __init__(self, reads: ConversationReads) -> None:
        self._reads = reads

    async def page(self, key: UserKey, position: Position) -> ConversationPage:
        """The records from a position on; `BEGIN` is the first one. Raises Unavailable."""
        ref, seq = position
        page = ConversationPage([], None)
        scanned = size = 0
        # A position within a conversation is that of its row, too.
        views = await self._reads.memberships(*key, ref - 1 if seq else ref, _CONVERSATIONS)
        drafts = await self._reads.drafts(views)
        for view in views:
            is_continued = bool(seq) and view.ref == ref
            if not is_continued:
                page.records.append(Membership(view, drafts.get(view.ref, "")))
                size += len(drafts.get(view.ref, "").encode())
            for part in parts_of(view):
                span = Span(max(part.first, seq), part.last) if is_continued else part
                if span.first > span.last:
                    continue
                if scanned >= _PARTS:
                    return page._replace(next=Position(view.ref, span.first))
                scanned += 1
                for row in await self._messages(view, span):
                    page.records.append((view.key[1], row))
                    size += _size(row)
                    if len(page.records) >= _RECORDS or size >= _PAGE_BYTES:
                        return page._replace(next=Position(view.ref, row.item.seq + 1))
        return page if len(views) < _CONVERSATIONS else page._replace(next=Position(views[-1].ref, 0))

    async def _messages(self, view: View, span: Span) -> Sequence[StoredItem]:
        """The messages of the user in a range, as many as a page may have."""
        seqs = await self._reads.messages_by(view, view.member.user, span, _RECORDS)
        found = await self._reads.find_items(view, seqs) if seqs else {}
        return [found[each] for each in seqs if each in found]


def _size(row: StoredItem) -> int:
    return len(row.item.body.content.encode()) if row.item.body is not None else 0


def parts_of(view: View) -> list[Span]:
    """The ranges of items among which messages of the user may be, in parts of `PART_ITEMS`."""
    member, head = view.member, view.head
    # Earlier spans may have been dropped.
    first = member.spans[0].first if len(member.spans) < MAX_SPANS else 1
    starts = range(max(first, head.visible_from, 1), head.last_seq + 1, PART_ITEMS)
    return [Span(start, min(start + PART_ITEMS - 1, head.last_seq)) for start in starts]
