"""The tables of conversations in memory, for tests: an older stamp never overwrites a newer one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.domain import (
    SENDERS_AMONG,
    Body,
    DeletedBy,
    Head,
    Item,
    ItemFacts,
    ItemType,
    Member,
    Operation,
    Role,
    UserDraft,
)
from message_svc.model.conversation import messages_of, senders_after
from message_svc.model.state import (
    MEMBERS_AT_ONCE,
    ConversationWrites,
    LoadedConversation,
    LoadedState,
    LoadRequest,
    Writes,
)
from message_svc.moderation_records import AuditRecord, Report, ReportErasure, ReportResolution


class Message(NamedTuple):
    """A message. `stamp`: of the last write of it; `body`: after that, None where it is deleted; times of 0: never."""

    stamp: int
    body: Body | None
    edit_ms: int = 0
    delete_ms: int = 0
    deleted_by: DeletedBy = DeletedBy.NOBODY

    @property
    def is_deleted(self) -> bool:
        """Whether it is deleted."""
        return self.delete_ms > 0


class MemoryTables:
    """See `kit.ledger.ports.Tables`. Of a conversation with more members than that, a load finds single ones."""

    def __init__(self, members_at_once: int = MEMBERS_AT_ONCE) -> None:
        self.heads: dict[TargetKey, Head] = {}
        self.members: dict[TargetKey, dict[str, tuple[int, Member]]] = {}
        self.items: dict[TargetKey, dict[int, Item]] = {}
        self.messages: dict[TargetKey, dict[int, Message]] = {}
        self.operations: dict[tuple[TargetKey, str, str], Operation] = {}
        self.purged_before: dict[TargetKey, int] = {}
        """Items below this number stay removed, apart from those that name the conversation."""
        self.drafts: dict[TargetKey, dict[str, tuple[int, UserDraft]]] = {}
        self.reports: dict[TargetKey, dict[str, Report]] = {}
        self.resolutions: dict[TargetKey, dict[str, tuple[int, ReportResolution]]] = {}
        self.audits: dict[TargetKey, dict[str, AuditRecord]] = {}
        self._erased_reports: dict[TargetKey, set[ReportErasure]] = {}
        self._members_at_once = members_at_once

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `kit.ledger.ports.Tables`."""
        return self.find(need)

    async def write(self, shard: int, writes: Writes) -> None:
        """See `kit.ledger.ports.Tables`."""
        for step in self.steps(writes):
            step()

    def find(self, need: LoadRequest) -> LoadedState:
        """What was requested, as of now."""
        return LoadedState(
            {key: self._conversation(key) for key in need.conversations},
            {
                key: {user: rows[user][1] for user in users if user in rows and rows[user][1].spans}
                for key, users in need.members.items()
                if (rows := self.members.get(key))
            },
            {
                key: {seq: self._facts(key, seq) for seq in seqs if seq in self.items.get(key, {})}
                for key, seqs in need.items.items()
            },
            {made: self.operations[made] for made in need.operations if made in self.operations},
        )

    def steps(self, writes: Writes) -> Sequence[Callable[[], None]]:
        """The writes one by one, in the order in which they are made: rows, then heads."""
        return [
            *(partial(self._write_items, each) for each in writes.conversations),
            *(partial(self._write_members, each) for each in writes.conversations),
            *(partial(self._write_operations, each) for each in writes.conversations),
            *(partial(self._write_drafts, each) for each in writes.conversations),
            *(partial(self._write_moderation, each) for each in writes.conversations),
            *(partial(self._write_head, each) for each in writes.conversations),
        ]

    def purge(self, key: TargetKey, before: int) -> None:
        """Removes the rows of items below a number, apart from those that name the conversation."""
        self.purged_before[key] = before
        self.items[key] = {seq: item for seq, item in self.items[key].items() if not self._is_purged(key, item)}
        self.messages[key] = {seq: row for seq, row in self.messages.get(key, {}).items() if seq >= before}

    def _is_purged(self, key: TargetKey, item: Item) -> bool:
        return item.seq < self.purged_before.get(key, 0) and item.type not in (ItemType.CREATED, ItemType.UPDATED)

    def _conversation(self, key: TargetKey) -> LoadedConversation:
        rows = [member for _, member in self.members.get(key, {}).values() if member.role is not Role.NONE]
        has_all = len(rows) <= self._members_at_once
        items = self.items.get(key, {})
        latest = [items[seq] for seq in sorted(items)[-SENDERS_AMONG:]]
        senders = list(senders_after({}, messages_of(latest)).items())
        return LoadedConversation(self.heads.get(key), rows if has_all else (), has_all, senders)

    def _facts(self, key: TargetKey, seq: int) -> ItemFacts:
        item = self.items[key][seq]
        is_deleted = self.messages[key][seq].is_deleted if item.type is ItemType.MESSAGE else False
        return ItemFacts(item.type, item.actor, item.ordinal, is_deleted)

    def _write_items(self, writes: ConversationWrites) -> None:
        items = self.items.setdefault(writes.key, {})
        for stamp, item in writes.items:
            if not self._is_purged(writes.key, item):
                items[item.seq] = item._replace(body=None)
            if item.type in (ItemType.MESSAGE, ItemType.EDIT, ItemType.DELETE):
                self._write_message(writes.key, stamp, item)

    def _write_message(self, key: TargetKey, stamp: int, item: Item) -> None:
        messages, seq = self.messages.setdefault(key, {}), item.subject or item.seq
        known = messages.get(seq)
        # A message may be edited and deleted by the entry that sends it: the last of equal stamps stays.
        if (known is not None and known.stamp > stamp) or seq < self.purged_before.get(key, 0):
            return
        if item.type is ItemType.MESSAGE or known is None:
            messages[seq] = Message(stamp, item.body)
        elif item.type is ItemType.DELETE:
            messages[seq] = Message(stamp, None, known.edit_ms, item.time_ms, item.deleted_by)
        elif known.body is not None and item.body is not None:
            content_type, reply_to = known.body.content_type, known.body.reply_to
            body = item.body._replace(content_type=content_type, reply_to=reply_to, forwards=known.body.forwards)
            messages[seq] = Message(stamp, body, item.time_ms)

    def _write_members(self, writes: ConversationWrites) -> None:
        rows = self.members.setdefault(writes.key, {})
        for stamp, member in writes.members:
            if member.user not in rows or rows[member.user][0] <= stamp:
                rows[member.user] = (stamp, member)

    def _write_operations(self, writes: ConversationWrites) -> None:
        for _, made in writes.operations:
            self.operations[writes.key, made.user, made.op_id] = made

    def _write_drafts(self, writes: ConversationWrites) -> None:
        rows = self.drafts.setdefault(writes.key, {})
        for stamp, draft in writes.drafts:
            if draft.user not in rows or rows[draft.user][0] <= stamp:
                rows[draft.user] = (stamp, draft)

    def _write_moderation(self, writes: ConversationWrites) -> None:
        reports = self.reports.setdefault(writes.key, {})
        reports.update((report.report_id, report) for _, report in writes.reports)
        erased_reports = self._erased_reports.setdefault(writes.key, set())
        erased_reports.update(erased for _, erased in writes.erased_reports)
        for report_id, _ in erased_reports:
            if report_id in reports:
                reports[report_id] = reports[report_id]._replace(reporter="", comment="")
        resolutions = self.resolutions.setdefault(writes.key, {})
        for stamp, resolution in writes.resolutions:
            known = resolutions.get(resolution.report_id)
            if known is None or known[0] <= stamp:
                resolutions[resolution.report_id] = (stamp, resolution)
        audits = self.audits.setdefault(writes.key, {})
        audits.update((record.audit_id, record) for _, record in writes.audits)

    def _write_head(self, writes: ConversationWrites) -> None:
        known = self.heads.get(writes.key)
        if known is None or known.stamp <= writes.head.stamp:
            self.heads[writes.key] = writes.head
