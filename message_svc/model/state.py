"""What a shard of conversations reads from its tables and writes to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.domain import MAX_MEMBERS, ConversationChange, Head, Item, ItemFacts, Member, Operation, UserDraft
from message_svc.moderation_records import AuditRecord, Report, ReportResolution

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


class Writes(NamedTuple):
    """All table writes of some entries. The rows of a conversation are written before its head."""

    conversations: Sequence[ConversationWrites]


def writes_of(changes: Iterable[ConversationChange]) -> Writes:
    """The table writes of changes, in the order of their entries: the last state of each row."""
    members: dict[TargetKey, dict[str, tuple[int, Member]]] = {}
    items: dict[TargetKey, list[tuple[int, Item]]] = {}
    operations: dict[TargetKey, list[tuple[int, Operation]]] = {}
    reports: dict[TargetKey, list[tuple[int, Report]]] = {}
    resolutions: dict[TargetKey, list[tuple[int, ReportResolution]]] = {}
    audits: dict[TargetKey, list[tuple[int, AuditRecord]]] = {}
    drafts: dict[TargetKey, dict[str, tuple[int, UserDraft]]] = {}
    heads: dict[TargetKey, Head] = {}
    for change in changes:
        key, head, new_items, rows, made, *_ = change
        heads[key] = head
        reports.setdefault(key, []).extend((head.stamp, report) for report in change.reports)
        resolutions.setdefault(key, []).extend((head.stamp, resolution) for resolution in change.resolutions)
        audits.setdefault(key, []).extend((head.stamp, act) for act in change.audits)
        drafts.setdefault(key, {}).update((draft.user, (head.stamp, draft)) for draft in change.drafts)
        members.setdefault(key, {}).update((user, (head.stamp, row)) for user, row in rows.items())
        items.setdefault(key, []).extend((head.stamp, item) for item in new_items)
        operations.setdefault(key, []).extend((head.stamp, operation) for operation in made)
    return Writes(
        [
            ConversationWrites(
                key,
                head,
                list(members[key].values()),
                items[key],
                operations[key],
                reports[key],
                resolutions[key],
                audits[key],
                list(drafts[key].values()),
            )
            for key, head in heads.items()
        ]
    )
