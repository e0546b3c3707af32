"""The rows that entries of the ledger leave in the tables in Cassandra, by partition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import Part
from kit.adapters.cassandra.raw import RawRow, raw_row, routing_key
from kit.tenant_keys import TargetKey
from message_svc.adapters.cassandra_rows import HEAD, ITEM, MEMBER, bucket_of, operation_bucket, packed, time_uuid
from message_svc.adapters.rows import body_values, head_values, item_values, member_values
from message_svc.conversation_lists import is_large
from message_svc.domain import Body, DeletedBy, Item, ItemType
from message_svc.model.state import ConversationWrites
from message_svc.moderation_records import AUDIT, REPORT, ReportStatus, day_of

_OPERATION = ("digest", "seq", "time_ms", "ordinal", "reason")
_REPORT = (
    "report_id", "seq", "reporter_id", "sender_id", "reason", "comment", "content", "content_type", "send_ms",
    "time_ms",
)  # fmt: skip
_AUDIT = (
    "audit_id", "action", "actor_id", "capacity", "time_ms", "seq", "user_id", "role", "report_id", "report_status",
    "reason",
)  # fmt: skip
_NAMED = (ItemType.CREATED, ItemType.UPDATED)
_CONVERSATION = ("tenant", "conversation_id")
_BUCKET = (*_CONVERSATION, "bucket")
_MESSAGE = (
    f"UPDATE messages USING TIMESTAMP ? SET {{}} WHERE {' AND '.join(f'{name} = ?' for name in (*_BUCKET, 'seq'))}"
)


def _insert(table: str, *columns: str) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) USING TIMESTAMP ?"


STATEMENTS = {
    "save_head": _insert("conversations", *_CONVERSATION, *HEAD),
    "save_member": _insert("conversations", *_CONVERSATION, *MEMBER),
    "delete_member": "DELETE FROM conversations USING TIMESTAMP ?"
    " WHERE tenant = ? AND conversation_id = ? AND user_id = ?",
    "save_message": _insert("messages", *_BUCKET, *ITEM, "message_id", "status"),
    "save_event": _insert("messages", *_BUCKET, *ITEM[:6], *ITEM[-2:]),
    "save_body": _MESSAGE.format("content = ?, mentions = ?, metadata = ?, status = ?"),
    "mark_edited": _MESSAGE.format("edited_at = ?"),
    "mark_deleted": _MESSAGE.format("deleted_at = ?, deleted_by = ?"),
    "save_deleted": _insert("deleted_messages", *_CONVERSATION, "seq"),
    "save_name": _insert("conversation_names", *_CONVERSATION, "seq", "group_name", "avatar_url"),
    "save_operation": _insert("conversation_operations", *_BUCKET, "user_id", "op_id", *_OPERATION),
    "save_update": "UPDATE user_conversations USING TIMESTAMP ? SET updated_at = ?, is_large = ?"
    " WHERE tenant = ? AND user_id = ? AND conversation_id = ?",
    "save_draft": _insert("drafts", "tenant", "user_id", "conversation_id", "content", "created_at"),
    "delete_draft": "DELETE FROM drafts USING TIMESTAMP ? WHERE tenant = ? AND user_id = ? AND conversation_id = ?",
    "save_due": _insert("retention_due", "shard", "due_ms", *_CONVERSATION),
    "save_report": _insert("message_reports", "tenant", "day", "conversation_id", *_REPORT, "status"),
    "resolve_report": "UPDATE message_reports USING TIMESTAMP ? SET status = ?, resolver_id = ?, note = ?,"
    " resolve_ms = ? WHERE tenant = ? AND day = ? AND report_id = ?",
    "save_user_report": _insert("user_reports", "tenant", "user_id", "report_id"),
    "delete_user_report": "DELETE FROM user_reports USING TIMESTAMP ?"
    " WHERE tenant = ? AND user_id = ? AND report_id = ?",
    "erase_reporter": "UPDATE message_reports USING TIMESTAMP ? SET reporter_id = '', comment = ''"
    " WHERE tenant = ? AND day = ? AND report_id = ?",
    "save_audit": _insert("audit_records", "tenant", "day", "conversation_id", *_AUDIT),
    "save_day": _insert("moderation_days", "tenant", "kind", "day"),
    "save_membership": _insert(
        "user_conversations", "tenant", "user_id", "conversation_id", "role", "pinned", "archived"
    ),
    "delete_membership": "DELETE FROM user_conversations USING TIMESTAMP ?"
    " WHERE tenant = ? AND user_id = ? AND conversation_id = ?",
}


class _Revision(NamedTuple):
    """What became of the body of a message, and the stamp of the last entry that changed it. Times of 0: never."""

    stamp: int
    body: Body
    edit_ms: int = 0
    delete_ms: int = 0
    deleted_by: DeletedBy = DeletedBy.NOBODY

    @property
    def status(self) -> str:
        return "deleted" if self.delete_ms else "edited" if self.edit_ms else "sent"


class RowWriter:
    """Makes the rows of one conversation. Each has the stamp of its entry as its timestamp."""

    def __init__(self, shard: int, statements: Mapping[str, PreparedStatement], writes: ConversationWrites) -> None:
        self._shard = shard
        self._statements = statements
        self._writes = writes
        self._key: TargetKey = writes.key
        self._parts: dict[bytes, Part] = {}

    def rows(self) -> list[Part]:
        """All rows that are written before those of `head`."""
        self._add_items()
        for stamp, made in self._writes.operations:
            bucket = operation_bucket(made.user, made.op_id)
            self._add((*self._key, bucket), "save_operation", stamp, *self._key, bucket, *made)
        head = self._writes.head
        if head.retention_due_ms:
            self._add((self._shard,), "save_due", head.stamp, self._shard, head.retention_due_ms, *self._key)
        self._add_moderation()
        for stamp, draft in self._writes.drafts:
            row = (self._key[0], draft.user, self._key[1])
            if draft.content:
                self._add(row[:2], "save_draft", stamp, *row, draft.content, draft.time_ms)
            else:
                self._put(row[:2], "delete_draft", packed((stamp, *row)))
        large = is_large(head)
        for stamp, member in self._writes.members:
            user = (self._key[0], member.user)
            if not member.spans:
                self._put(user, "delete_membership", packed((stamp, *user, self._key[1])))
                continue
            archived = member.archived_seq > 0
            self._add(user, "save_membership", stamp, *user, self._key[1], member.role, member.pinned, archived)
            self._put(user, "save_update", list_row(self._key, head.update_ms, member.user, is_large=large))
        return list(self._parts.values())

    def _add_moderation(self) -> None:
        tenant, conversation_id = self._key
        for stamp, report in self._writes.reports:
            partition = self._day_of(stamp, REPORT, report.report_id)
            self._add(partition, "save_report", stamp, *partition, conversation_id, *report, ReportStatus.OPEN)
            made_by = (tenant, report.reporter)
            self._add(made_by, "save_user_report", stamp, *made_by, report.report_id)
        for stamp, (report_id, reporter) in self._writes.erased_reports:
            partition, made_by = (tenant, day_of(report_id) or 0), (tenant, reporter)
            self._put(partition, "erase_reporter", packed((stamp, *partition, report_id)))
            self._put(made_by, "delete_user_report", packed((stamp, *made_by, report_id)))
        # Several decisions about a report may have the same stamp: the last one is written.
        for stamp, decided in {each.report_id: (stamp, each) for stamp, each in self._writes.resolutions}.values():
            partition = (tenant, day_of(decided.report_id) or 0)
            values = (stamp, *decided[1:], *partition, decided.report_id)
            self._put(partition, "resolve_report", packed(values))
        for stamp, audit in self._writes.audits:
            partition = self._day_of(stamp, AUDIT, audit.audit_id)
            self._add(partition, "save_audit", stamp, *partition, conversation_id, *audit)

    def _day_of(self, stamp: int, kind: str, id_: str) -> tuple[str, int]:
        """The partition of a record, whose day is noted."""
        tenant, day = self._key[0], day_of(id_) or 0
        self._add((tenant, kind), "save_day", stamp, tenant, kind, day)
        return tenant, day

    def head(self) -> Part:
        """The members and, as the last row, the head: one partition."""
        self._parts = {}
        for stamp, member in self._writes.members:
            if member.spans:
                self._add(self._key, "save_member", stamp, *self._key, *member_values(member))
            else:
                self._put(self._key, "delete_member", packed((stamp, *self._key, member.user)))
        head = self._writes.head
        self._add(self._key, "save_head", head.stamp, *self._key, *head_values(head))
        (part,) = self._parts.values()
        return part

    def _add_items(self) -> None:
        new: dict[int, Item] = {}
        revisions: dict[int, _Revision] = {}
        for stamp, item in self._writes.items:
            if item.type is ItemType.MESSAGE:
                assert item.body is not None
                new[item.seq] = item
                revisions[item.seq] = _Revision(stamp, item.body)
                continue
            self._add_event(stamp, item)
            # Several changes of a message may have the same stamp, so only the last state of its row is written.
            before = revisions.get(item.subject)
            edit_ms = before.edit_ms if before is not None else 0
            if item.type is ItemType.EDIT:
                assert item.body is not None
                revisions[item.subject] = _Revision(stamp, item.body, item.time_ms)
            elif item.type is ItemType.DELETE:
                revisions[item.subject] = _Revision(stamp, Body("", ""), edit_ms, item.time_ms, item.deleted_by)
                self._add(self._key, "save_deleted", stamp, *self._key, item.subject)
        for seq, revision in revisions.items():
            if seq in new:
                self._add_message(new[seq], revision)
            self._add_revision(seq, revision, is_new=seq in new)

    def _add_event(self, stamp: int, item: Item) -> None:
        partition = (*self._key, bucket_of(item.seq))
        values = item_values(item)
        self._add(partition, "save_event", stamp, *partition, *values[:6], *values[-2:])
        if item.type in _NAMED:
            self._add(self._key, "save_name", stamp, *self._key, item.seq, item.name, item.avatar_url)

    def _add_message(self, item: Item, revision: _Revision) -> None:
        partition = (*self._key, bucket_of(item.seq))
        assert item.body is not None
        content, _, _, mentions, metadata, _ = revision.body
        item = item._replace(body=item.body._replace(content=content, mentions=mentions, metadata=metadata))
        id_ = time_uuid(self._key[1], item.seq, item.time_ms)
        self._add(partition, "save_message", revision.stamp, *partition, *item_values(item), id_, revision.status)

    def _add_revision(self, seq: int, revision: _Revision, *, is_new: bool) -> None:
        partition = (*self._key, bucket_of(seq))
        stamp, body, edit_ms, delete_ms, deleted_by = revision
        if not is_new:
            values = (body.content, *body_values(body), revision.status)
            self._update(partition, "save_body", stamp, values, seq)
        if edit_ms:
            self._update(partition, "mark_edited", stamp, (edit_ms,), seq)
        if delete_ms:
            self._update(partition, "mark_deleted", stamp, (delete_ms, deleted_by), seq)

    def _update(self, partition: tuple[Any, ...], name: str, stamp: int, values: Sequence[Any], seq: int) -> None:
        self._put(partition, name, packed((stamp, *values, *partition, seq)))

    def _add(self, partition: tuple[Any, ...], name: str, stamp: int, *values: Any) -> None:
        self._put(partition, name, packed((*values, stamp)))

    def _put(self, partition: tuple[Any, ...], name: str, values: tuple[bytes, ...]) -> None:
        key = routing_key(*packed(partition))
        row: RawRow = raw_row(self._statements[name], values)
        part = self._parts.get(key) or Part(key, [], 0)
        part.rows.append(row)
        self._parts[key] = part._replace(size=part.size + sum(map(len, values)))


def list_row(key: TargetKey, update_ms: int, user: str, *, is_large: bool) -> tuple[bytes, ...]:
    """The values of the statement `save_update`."""
    return packed((update_ms * 1_000, update_ms, is_large, key[0], user, key[1]))


def parts_of(
    shard: int, statements: Mapping[str, PreparedStatement], conversations: Sequence[ConversationWrites]
) -> Iterator[tuple[list[Part], Part]]:
    """For each conversation the rows to write first, and those to write after them."""
    for each in conversations:
        writer = RowWriter(shard, statements, each)
        yield writer.rows(), writer.head()
