"""Reads of the tables of conversations in Cassandra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import all_of
from kit.adapters.cassandra.engine import Cassandra
from kit.message_ids import CONVERSATION
from kit.tenant_keys import TargetKey
from message_svc.adapters.cassandra_rows import (
    HEAD,
    MEMBER,
    SELECT_ITEM,
    by_bucket,
    by_tenant,
    item_of,
    selected,
    spans_of_buckets,
)
from message_svc.adapters.rows import HEAD_COLUMNS, head_of, member_of
from message_svc.domain import Kind, Member, Role, Span
from message_svc.member_views import is_archived, unread_range
from message_svc.ports import ListPosition, StoredItem, Summary, View

list_ = list  # in the class, the name is a method
Rows = list[Any]
Items = list[StoredItem]
_OF_ONE = "WHERE tenant = ? AND conversation_id = ?"
_OF_SOME = "WHERE tenant = ? AND conversation_id IN ?"
_RANGE = f"SELECT {SELECT_ITEM} FROM messages {_OF_ONE} AND bucket = ? AND seq >= ? AND seq <= ?"
_CQL = {
    "views": f"SELECT conversation_id, {selected(*HEAD, *MEMBER)} FROM conversations {_OF_SOME} AND user_id = ?",
    "memberships": f"SELECT conversation_id, role, pinned, {selected('updated_at')}, is_large, archived"
    " FROM user_conversations WHERE tenant = ? AND user_id = ?",
    "peers": f"SELECT conversation_id, user_id FROM conversations {_OF_SOME} PER PARTITION LIMIT 2",
    # Former members are filtered by the server, within the partition.
    "members": f"SELECT {selected(*MEMBER)} FROM conversations {_OF_ONE} AND user_id > ? AND role > 0"
    " LIMIT ? ALLOW FILTERING",
    "all_members": f"SELECT members_epoch, {selected(*MEMBER)} FROM conversations {_OF_ONE}",
    "drafts": "SELECT conversation_id, content FROM drafts WHERE tenant = ? AND user_id = ? AND conversation_id IN ?",
    "deleted": f"SELECT count(*) FROM deleted_messages {_OF_ONE} AND seq > ? AND seq <= ?",
    "name_at": f"SELECT group_name, avatar_url FROM conversation_names {_OF_ONE} AND seq <= ? LIMIT 1",
    # Items that are no messages are filtered by the server, within the partition.
    "messages_before": f"{_RANGE} AND type = 2 ORDER BY seq DESC LIMIT ? ALLOW FILTERING",
    "messages_after": f"{_RANGE} AND type = 2 ORDER BY seq ASC LIMIT ? ALLOW FILTERING",
    "messages_by": f"SELECT seq, deleted_at FROM messages {_OF_ONE} AND bucket = ? AND seq >= ? AND seq <= ?"
    " AND type = 2 AND sender_id = ? ORDER BY seq ASC ALLOW FILTERING",
    "items_after": f"{_RANGE} ORDER BY seq ASC LIMIT ?",
    "items": f"SELECT {SELECT_ITEM} FROM messages {_OF_ONE} AND bucket = ? AND seq IN ?",
}


class CassandraReads:
    """See `ports.ConversationReads`. Made by `open_cassandra_reads`."""

    def __init__(self, cassandra: Cassandra, statements: Mapping[str, PreparedStatement]) -> None:
        self._cassandra = cassandra
        self._statements = statements

    async def view(self, tenant: str, conversation_id: str, user: str) -> View | None:
        """See `ConversationReads`."""
        views = await self._views(tenant, [conversation_id], user)
        return views[0] if views else None

    async def list(
        self, tenant: str, user: str, after: ListPosition | None, limit: int, *, archived: bool = False
    ) -> Sequence[View]:
        """See `ConversationReads`. The order may be that of a moment ago."""
        # One that is archived in this table may have come back since; one that is not is not archived.
        rows = [row for row in await self._rows("memberships", tenant, user) if row[5] or not archived]
        large = await self._views(tenant, [row[0] for row in rows if row[1] and row[4]], user)
        found = [(_position(view), view) for view in large]
        candidates: list[tuple[ListPosition, View | str]] = [
            *found,
            *((ListPosition(row[2], row[3] or 0, _ref(row[0])), row[0]) for row in rows if row[1] and not row[4]),
        ]
        candidates = [each for each in candidates if after is None or each[0] < after]
        candidates.sort(key=lambda each: each[0], reverse=True)
        views: list_[View] = []
        # A membership may have ended a moment ago, and a message brings back what was archived, so more than one round
        # may be needed.
        while candidates and len(views) < limit:
            some = candidates[: limit - len(views)]
            candidates = candidates[len(some) :]
            small = await self._views(tenant, [each for _, each in some if isinstance(each, str)], user)
            seen = [*small, *(each for _, each in some if isinstance(each, View))]
            views += (view for view in seen if _is_listed(view) and is_archived(view.head, view.member) is archived)
        return sorted(views, key=_position, reverse=True)

    async def inbox(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`. Reads the names of all conversations of the user, and the rows of those that it
        returns."""
        rows = await self._rows("memberships", tenant, user)
        names = [row[0] for row in rows if row[1]]
        return await self._in_order(tenant, user, names, after, limit, _is_listed)

    async def memberships(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """See `ConversationReads`. Reads the names of all conversations of the user, as `inbox`."""
        rows = await self._rows("memberships", tenant, user)
        names = [row[0] for row in rows if row[1] is not None]
        return await self._in_order(tenant, user, names, after, limit, lambda view: True)

    async def _in_order(
        self,
        tenant: str,
        user: str,
        names: Iterable[str],
        after: int,
        limit: int,
        is_wanted: Callable[[View], bool],
    ) -> Sequence[View]:
        """The wanted ones of these conversations in the order of their `ref`."""
        left = sorted((_ref(name), name) for name in names if _ref(name) > after)
        found: list_[View] = []
        while left and len(found) < limit:
            some, left = left[: limit - len(found)], left[limit - len(found) :]
            views = await self._views(tenant, [name for _, name in some], user)
            found += filter(is_wanted, views)
        return sorted(found, key=lambda view: view.ref)

    async def summaries(self, views: Sequence[View]) -> Sequence[Summary]:
        """See `ConversationReads`."""
        peers, last, deleted = await all_of(
            [
                self._peers([view.key for view in views if view.head.kind is Kind.DIRECT]),
                all_of([self.find_items(view, [view.head.last_message_seq]) for view in views]),
                all_of([self._deleted(view) for view in views]),
            ]
        )
        return [
            Summary(
                view,
                unread_range(view.head, view.member)[1] - gone,
                items.get(view.head.last_message_seq),
                next((user for user in peers.get(view.key, ()) if user != view.member.user), ""),
            )
            for view, items, gone in zip(views, last, deleted, strict=True)
        ]

    async def drafts(self, views: Sequence[View]) -> Mapping[int, str]:
        """See `ConversationReads`."""
        by_user: dict[str, list_[TargetKey]] = {}
        for view in views:
            if view.member.draft_ms:
                by_user.setdefault(view.member.user, []).append(view.key)
        asked = [(tenant, user, names) for user, keys in by_user.items() for tenant, names in by_tenant(keys)]
        pages = await all_of([self._rows("drafts", *some) for some in asked])
        return {_ref(name): content for rows in pages for name, content in rows}

    async def name_at(self, view: View, seq: int) -> tuple[str, str]:
        """See `ConversationReads`."""
        rows = await self._rows("name_at", *view.key, seq)
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    async def members(self, view: View, after: str, limit: int) -> Sequence[Member]:
        """See `ConversationReads`."""
        return [member_of(row) for row in await self._rows("members", *view.key, after, limit)]

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        """See `ConversationReads`."""
        rows = await self._rows("all_members", tenant, conversation_id)
        if not rows or rows[0][0] is None:
            return 0, ()
        # The rows may be read in several pages: the epoch of the first one is at most that of the others.
        return rows[0][0], [member_of(row[1:]) for row in rows if row[1] is not None]

    async def messages(self, view: View, span: Span, limit: int, *, from_end: bool) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        name = "messages_before" if from_end else "messages_after"
        found = await self._range(name, view.key, span, limit, from_end=from_end)
        return found[::-1] if from_end else found

    async def messages_by(self, view: View, user: str, span: Span, limit: int) -> Sequence[int]:
        """See `ConversationReads`."""
        found: list_[int] = []
        for bucket, (first, last) in spans_of_buckets(span, from_end=False):
            rows = await self._rows("messages_by", *view.key, bucket, first, last, user)
            found += [seq for seq, deleted_at in rows if deleted_at is None]
        return found[:limit]

    async def items(self, view: View, span: Span, limit: int) -> Sequence[StoredItem]:
        """See `ConversationReads`."""
        return await self._range("items_after", view.key, span, limit, from_end=False)

    async def find_items(self, view: View, seqs: Sequence[int]) -> Mapping[int, StoredItem]:
        """See `ConversationReads`."""
        asked = by_bucket(seq for seq in seqs if seq > 0)
        pages = await all_of([self._rows("items", *view.key, *some) for some in asked])
        return {row[0]: item_of(row) for rows in pages for row in rows}

    async def _views(self, tenant: str, conversation_ids: Iterable[str], user: str) -> Sequence[View]:
        asked = by_tenant((tenant, name) for name in conversation_ids)
        pages = await all_of([self._rows("views", *some, user) for some in asked])
        return [
            View(_ref(name), (tenant, name), head_of(row[:HEAD_COLUMNS]), member_of(row[HEAD_COLUMNS:]))
            for rows in pages
            for name, *row in rows
            # Members are in one write with their head, unless they are very many: then the head is the last.
            if row[0] is not None
        ]

    async def _range(self, name: str, key: TargetKey, span: Span, limit: int, *, from_end: bool) -> Items:
        found: Items = []
        for bucket, part in spans_of_buckets(span, from_end=from_end):
            rows = await self._rows(name, *key, bucket, *part, limit - len(found))
            found += map(item_of, rows)
            if len(found) == limit:
                break
        return found

    async def _peers(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Sequence[str]]:
        asked = [*by_tenant(keys)]
        pages = await all_of([self._rows("peers", *some) for some in asked])
        found: dict[TargetKey, tuple[str, ...]] = {}
        for (tenant, _), rows in zip(asked, pages, strict=True):
            for name, user in rows:
                found[tenant, name] = (*found.get((tenant, name), ()), user)
        return found

    async def _deleted(self, view: View) -> int:
        """The messages after the read cursor that were deleted."""
        read_seq, messages = unread_range(view.head, view.member)
        if not messages:
            return 0
        rows = await self._rows("deleted", *view.key, read_seq, view.head.last_seq)
        return int(rows[0][0])

    async def _rows(self, name: str, *values: Any) -> Rows:
        return await self._cassandra.rows(self._statements[name], values)


async def open_cassandra_reads(cassandra: Cassandra) -> CassandraReads:
    """Prepares the statements. Raises Unavailable."""
    return CassandraReads(cassandra, await cassandra.prepare_all(_CQL))


def _is_listed(view: View) -> bool:
    return view.member.role is not Role.NONE and not view.head.close_ms


def _position(view: View) -> ListPosition:
    return ListPosition(view.member.pinned, view.head.update_ms, view.ref)


def _ref(conversation_id: str) -> int:
    """A number of its own for each conversation: the digits of its id."""
    return int(conversation_id.removeprefix(CONVERSATION), 32)
