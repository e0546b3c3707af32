"""Reads of the tables of conversations in memory, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from kit.tenant_keys import TargetKey
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.domain import Body, ItemType, Kind, Member, Role, Span
from message_svc.member_views import is_archived, unread_range
from message_svc.ports import DueConversation, ListPosition, StoredItem, Summary, View

list_ = list  # in the class, the name is a method


class MemoryReads:
    """See `ports.ConversationReads`."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    async def view(self, tenant: str, conversation_id: str, user: str) -> View | None:
        """See `ConversationReads`."""
        return self._view((tenant, conversation_id), user)

    async def list(
        self, tenant: str, user: str, after: ListPosition | None, limit: int, *, archived: bool = False
    ) -> Sequence[View]:
        """See `ConversationReads`."""
        views = [view for view in self._of(tenant, user) if is_archived(view.head, view.member) is archived]
        views = [view for view in views if after is None or _position(view) < after]
        return sorted(views, key=_position, reverse=True)[:limit]

    async def inbox(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`."""
        return [view for view in self._of(tenant, user) if view.ref > after][:limit]

    async def memberships(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`."""
        return [view for view in self._all_of(tenant, user) if view.ref > after][:limit]

    async def summaries(self, views: Sequence[View]) -> Sequence[Summary]:
        """See `ConversationReads`."""
        return [self._summary(view) for view in views]

    async def drafts(self, views: Sequence[View]) -> Mapping[int, str]:
        """See `ConversationReads`."""
        found = {view.ref: self._tables.drafts.get(view.key, {}).get(view.member.user) for view in views}
        return {ref: row[1].content for ref, row in found.items() if row is not None and row[1].content}

    async def name_at(self, view: View, seq: int) -> tuple[str, str]:
        """See `ConversationReads`."""
        items = self._tables.items.get(view.key, {})
        named = [number for number, item in items.items() if item.type in (ItemType.CREATED, ItemType.UPDATED)]
        item = items[max(number for number in named if number <= seq)]
        return item.name, item.avatar_url

    async def members(self, view: View, after: str, limit: int) -> Sequence[Member]:
        """See `ConversationReads`."""
        rows = [row for _, row in self._tables.members[view.key].values()]
        return sorted(row for row in rows if row.role is not Role.NONE and row.user > after)[:limit]

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        """See `ConversationReads`."""
        head = self._tables.heads.get((tenant, conversation_id))
        if head is None:
            return 0, ()
        rows = self._tables.members[tenant, conversation_id].values()
        return head.members_epoch, [row for _, row in rows if row.spans]

    async def messages(self, view: View, span: Span, limit: int, *, from_end: bool) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        rows = [row for row in self._items(view.key, span) if row.item.type is ItemType.MESSAGE]
        return rows[-limit:] if from_end and limit else rows[:limit]

    async def messages_by(self, view: View, user: str, span: Span, limit: int) -> Sequence[int]:
        """See `ConversationReads`."""
        rows = await self.messages(view, span, span.last, from_end=False)
        return [row.item.seq for row in rows if row.item.actor == user and not row.delete_ms][:limit]

    async def items(self, view: View, span: Span, limit: int) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        return self._items(view.key, span)[:limit]

    async def find_items(self, view: View, seqs: Sequence[int]) -> Mapping[int, StoredItem]:
        """See `ConversationReads`."""
        known = self._tables.items.get(view.key, {})
        return {seq: self._item(view.key, seq) for seq in seqs if seq in known}

    def _of(self, tenant: str, user: str) -> Iterator[View]:
        return (
            view for view in self._all_of(tenant, user) if view.member.role is not Role.NONE and not view.head.close_ms
        )

    def _all_of(self, tenant: str, user: str) -> Iterator[View]:
        views = (self._view(key, user) for key in self._tables.heads if key[0] == tenant)
        return (view for view in views if view is not None)

    def _view(self, key: TargetKey, user: str) -> View | None:
        head = self._tables.heads.get(key)
        row = self._tables.members.get(key, {}).get(user)
        if head is None or row is None or not row[1].spans:
            return None
        return View(1 + list_(self._tables.heads).index(key), key, head, row[1])

    def _summary(self, view: View) -> Summary:
        read_seq, messages = unread_range(view.head, view.member)
        rows = self._tables.messages.get(view.key, {})
        deleted = sum(row.is_deleted for seq, row in rows.items() if seq > read_seq)
        last = view.head.last_message_seq
        others = [user for user in self._tables.members[view.key] if user != view.member.user]
        return Summary(
            view,
            messages - deleted,
            self._item(view.key, last) if last in rows else None,
            others[0] if others and view.head.kind is Kind.DIRECT else "",
        )

    def _items(self, key: TargetKey, span: Span) -> list_[StoredItem]:
        seqs = sorted(self._tables.items.get(key, {}))
        return [self._item(key, seq) for seq in seqs if span.first <= seq <= span.last]

    def _item(self, key: TargetKey, seq: int) -> StoredItem:
        item, message = self._tables.items[key][seq], self._tables.messages.get(key, {}).get(seq)
        if message is None:
            return StoredItem(item)
        _, body, edit_ms, delete_ms, deleted_by = message
        return StoredItem(item._replace(body=body or Body("", "text")), edit_ms, delete_ms, deleted_by)


def _position(view: View) -> ListPosition:
    return ListPosition(view.member.pinned, view.head.update_ms, view.ref)


class MemoryRetention:
    """See `ports.RetentionRows`."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    async def due(self, shard: int, now_ms: int) -> AsyncIterator[Sequence[DueConversation]]:
        """See `RetentionRows`."""
        found = [(head.retention_due_ms, key, head) for key, head in self._tables.heads.items()]
        due = sorted(each for each in found if 0 < each[0] <= now_ms)
        if due:
            yield [DueConversation(0, key, head) for _, key, head in due]

    async def time_of(self, conversation: DueConversation, seq: int) -> int | None:
        """See `RetentionRows`."""
        item = self._tables.items[conversation.key].get(seq)
        return item.time_ms if item is not None else None

    async def purge(self, conversation: DueConversation, span: Span) -> None:
        """See `RetentionRows`."""
        self._tables.purge(conversation.key, span.last + 1)
