"""Reads of the tables of conversations in SQLite, on a connection of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.adapters.sqlite.file import connect, in_bulk, scalar, snapshot
from message_svc.adapters.rows import HEAD_COLUMNS, head_of, member_of, name_of, stored_item_of
from message_svc.adapters.sqlite_tables import SQL
from message_svc.domain import Kind, Member, Span
from message_svc.member_views import unread_range
from message_svc.ports import ListPosition, StoredItem, Summary, View

_FIRST = ListPosition(True, (1 << 62), (1 << 62))


class SqliteReads:
    """See `ports.ConversationReads`. All reads are short and run on the event loop."""

    def __init__(self, path: Path) -> None:
        self._reading = connect(path)

    async def view(self, tenant: str, conversation_id: str, user: str) -> View | None:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            row: Any = self._reading.execute(SQL["find_conversation"], (tenant, conversation_id)).fetchone()
            if row is None:
                return None
            member: Any = self._reading.execute(SQL["find_member"], (row[0], user)).fetchone()
        if member is None:
            return None
        return View(row[0], (row[1], row[2]), head_of(row[3:]), member_of(member))

    async def list(
        self, tenant: str, user: str, after: ListPosition | None, limit: int, *, archived: bool = False
    ) -> Sequence[View]:
        """See `ConversationReads`."""
        return self._views("conversations_of", (tenant, user, *(after or _FIRST), limit, archived))

    async def inbox(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`."""
        return self._views("inbox", (tenant, user, after, limit))

    async def memberships(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            bindings = (tenant, user, after, limit)
            former: list[Any] = self._reading.execute(SQL["former_conversations"], bindings).fetchall()
        views = [*await self.inbox(tenant, user, after, limit)]
        views += filter(None, [await self.view(tenant, name, user) for _, name in former])
        by_ref = {view.ref: view for view in views}  # it may have left meanwhile
        return [by_ref[ref] for ref in sorted(by_ref)][:limit]

    def _views(self, name: str, bindings: tuple[Any, ...]) -> Sequence[View]:
        with snapshot(self._reading):
            rows: list[Any] = self._reading.execute(SQL[name], bindings).fetchall()
        end = 3 + HEAD_COLUMNS
        return [View(row[0], (row[1], row[2]), head_of(row[3:end]), member_of(row[end:])) for row in rows]

    async def summaries(self, views: Sequence[View]) -> Sequence[Summary]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            asked = [value for view in views for value in (view.ref, view.head.last_message_seq)]
            rows = in_bulk(self._reading, SQL["find_items"], 2, asked)
            last = {row[0]: stored_item_of(row[1:]) for row in rows}
            return [self._summary(view, last.get(view.ref)) for view in views]

    async def drafts(self, views: Sequence[View]) -> Mapping[int, str]:
        """See `ConversationReads`."""
        asked = [value for view in views if view.member.draft_ms for value in (view.member.user, view.ref)]
        with snapshot(self._reading):
            return dict(in_bulk(self._reading, SQL["find_drafts"], 2, asked))

    async def name_at(self, view: View, seq: int) -> tuple[str, str]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            detail = scalar(self._reading, SQL["name_at"], (view.ref, seq))
        return name_of(detail) if detail else ("", "")

    async def members(self, view: View, after: str, limit: int) -> Sequence[Member]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            rows: Any = self._reading.execute(SQL["members"], (view.ref, after, limit)).fetchall()
        return [member_of(row) for row in rows]

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            row: Any = self._reading.execute(SQL["find_conversation"], (tenant, conversation_id)).fetchone()
            if row is None:
                return 0, ()
            rows: Any = self._reading.execute(SQL["all_members"], (row[0],)).fetchall()
        return head_of(row[3:]).members_epoch, [member_of(one) for one in rows]

    async def messages(self, view: View, span: Span, limit: int, *, from_end: bool) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        statement = SQL["messages_before" if from_end else "messages_after"]
        with snapshot(self._reading):
            rows: list[Any] = self._reading.execute(statement, (view.ref, *span, limit)).fetchall()
        return [stored_item_of(row) for row in (reversed(rows) if from_end else rows)]

    async def messages_by(self, view: View, user: str, span: Span, limit: int) -> Sequence[int]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            rows: Any = self._reading.execute(SQL["messages_by"], (view.ref, *span, user, limit)).fetchall()
        return [seq for (seq,) in rows]

    async def items(self, view: View, span: Span, limit: int) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            rows: Any = self._reading.execute(SQL["items_after"], (view.ref, *span, limit)).fetchall()
        return [stored_item_of(row) for row in rows]

    async def find_items(self, view: View, seqs: Sequence[int]) -> Mapping[int, StoredItem]:
        """See `ConversationReads`."""
        with snapshot(self._reading):
            rows = in_bulk(self._reading, SQL["find_items"], 2, [value for seq in seqs for value in (view.ref, seq)])
        return {row[1]: stored_item_of(row[1:]) for row in rows}

    def close(self) -> None:
        """Closes the connection."""
        self._reading.close()

    def _summary(self, view: View, last: StoredItem | None) -> Summary:
        head, member = view.head, view.member
        read_seq, messages = unread_range(head, member)
        deleted = scalar(self._reading, SQL["deleted_after"], (view.ref, read_seq))
        peer = scalar(self._reading, SQL["peer"], (view.ref, member.user)) if head.kind is Kind.DIRECT else ""
        return Summary(view, messages - deleted, last, peer or "")
