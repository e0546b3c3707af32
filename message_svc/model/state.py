"""What a shard of conversations reads from its tables and writes to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.domain import MAX_MEMBERS, ConversationChange, Head, Item, ItemFacts, Member, Operation, UserDraft
from message_svc.moderation_records import AuditRecord, Report, ReportErasure, ReportResolution

MEMBERS_AT_ONCE = MAX_MEMBERS
"""The members of a conversation with up to so many are read with its head; of a larger one those that are named."""


class LoadRequest(NamedTuple):
    """What to read. `conversations`: heads, and members as `MEMBERS_AT_ONCE` says; the others: single rows."""

    conversations: Sequence[TargetKey]
    members: Mapping[TargetKey, Sequence[str]]
    items: Mapping[TargetKey, Sequence[int]]
    operations: Sequence[tuple[TargetKey, str, str]]


class LoadedConversation(NamedTuple):
    """A conversation; `has_all_members`: these are all current members.

    `senders` of a group: who has sent the messages among its last `SENDERS_AMONG` items, each with the number of the
    last one, in the order of those; the last `MAX_SENDERS`.
    """

    head: Head | None
    members: Sequence[Member]
    has_all_members: bool
    senders: Sequence[tuple[str, int]] = ()


class LoadedState(NamedTuple):
    """The result of a read; rows that do not exist are left out."""

    conversations: Mapping[TargetKey, LoadedConversation]
    members: Mapping[TargetKey, Mapping[str, Member]]
    items: Mapping[TargetKey, Mapping[int, ItemFacts]]
    operations: Mapping[tuple[TargetKey, str, str], Operation]


class ConversationWrites(NamedTuple):
    """The writes of one conversation. Each row has the stamp of its entry.

    Items are in order: a message is a new row; an edit or a deletion is a row of its own and also replaces the body of
    the row of its message.
    """

    key: TargetKey
    head: Head
    members: Sequence[tuple[int, Member]]
    items: Sequence[tuple[int, Item]]
    operations: Sequence[tuple[int, Operation]]
    reports: Sequence[tuple[int, Report]] = ()
    resolutions: Sequence[tuple[int, ReportResolution]] = ()
    audits: Sequence[tuple[int, AuditRecord]] = ()
    drafts: Sequence[tuple[int, UserDraft]] = ()
    erased_reports: Sequence[tuple[int, ReportErasure]] = ()


class Writes(NamedTuple):
    """All table writes of some entries. The rows of a conversation are written before its head."""

    conversations: Sequence[ConversationWrites]


def writes_of(changes: Iterable[ConversationChange]) -> Writes:
    """The table writes of changes, in the order of their entries: the last state of each row."""
    by_key: dict[TargetKey, list[tuple[int, ConversationChange]]] = {}
    for change in changes:
        by_key.setdefault(change.key, []).append((change.head.stamp, change))
    return Writes([_conversation_writes(key, stamped) for key, stamped in by_key.items()])


def _conversation_writes(key: TargetKey, stamped: Sequence[tuple[int, ConversationChange]]) -> ConversationWrites:
    """The writes of one conversation, of changes with the stamps of their entries."""
    members = {user: (stamp, row) for stamp, change in stamped for user, row in change.members.items()}
    drafts = {draft.user: (stamp, draft) for stamp, change in stamped for draft in change.drafts}
    return ConversationWrites(
        key,
        stamped[-1][1].head,
        list(members.values()),
        [(stamp, item) for stamp, change in stamped for item in change.items],
        [(stamp, operation) for stamp, change in stamped for operation in change.operations],
        [(stamp, report) for stamp, change in stamped for report in change.reports],
        [(stamp, resolution) for stamp, change in stamped for resolution in change.resolutions],
        [(stamp, act) for stamp, change in stamped for act in change.audits],
        list(drafts.values()),
        [(stamp, erased) for stamp, change in stamped for erased in change.erased_reports],
    )
