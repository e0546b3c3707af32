"""The ports of the service: the ledger, and reads of its tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.errors import Problem
from kit.tenant_keys import TargetKey, UserKey
from message_svc.commands import Command, Denial, Outcome, Refusal
from message_svc.domain import DeletedBy, Head, Item, Member, Span
from message_svc.moderation_records import AuditRecord, Report, ReportResolution, ReportStatus

PART_ITEMS = 2_000
"""Items of a conversation that a read for one user goes through at a time."""


class ConversationLedger(Protocol):
    """Decides commands, durably and in order."""

    async def apply(self, commands: Sequence[Command]) -> Sequence[Outcome | Refusal | Problem]:
        """Decides the commands of each conversation in order, each by `model.decision.ConversationDecision.decide`.

        The result is durable and visible to every later read; its entry is published on the topic `messages`. Applying
        commands again, here or in any other process, gives the same answers and changes nothing. Never raises: a
        failure is the answer to each command it concerns, `kit.errors.OutcomeUnknown` where it cannot be said whether
        it was made.
        """
        ...


class Sender(NamedTuple):
    """What calls of a user depend on.

    `read_receipts`: whether others see what it has read; `blocked_conversations`: the direct conversations in which
    one of the two blocks the other.
    """

    read_receipts: bool = True
    blocked_conversations: frozenset[str] = frozenset()


class Permissions(Protocol):
    """What users allow each other. No method raises.

    Where it cannot be read, messages in conversations that exist go on, and nothing new is created.
    """

    def cached_sender(self, key: UserKey) -> Sender | None:
        """What is known of a user; None: `sender` has to read it."""
        ...

    async def sender(self, key: UserKey) -> Sender:
        """What is known of a user, which exists from then on. Calls of one user return in the order of the calls."""
        ...

    async def denial_to_write(self, key: UserKey, other: str) -> Denial | None:
        """Why the user may not begin a direct conversation with the other; None: it may."""
        ...

    async def denial_to_add(self, key: UserKey, others: Sequence[str]) -> Denial | None:
        """Which of these users the user may not make members; None: it may."""
        ...


class StoredItem(NamedTuple):
    """An item as it is now: a message has the body of its last edit, and an empty one after its deletion.

    Times are milliseconds since 1970; 0: never.
    """

    item: Item
    edit_ms: int = 0
    delete_ms: int = 0
    deleted_by: DeletedBy = DeletedBy.NOBODY


class View(NamedTuple):
    """A conversation and the row of a user in it, read at one moment. `ref` names it in further reads."""

    ref: int
    key: TargetKey
    head: Head
    member: Member


class Summary(NamedTuple):
    """A conversation in the list of a user. `last_message`: None where there is none; `peer`: of a direct one.

    `draft`: what the user has written and not sent, where that is read, too.
    """

    view: View
    unread: int
    last_message: StoredItem | None
    peer: str
    draft: str = ""


class ListPosition(NamedTuple):
    """The position of a conversation in the list of a user, which begins with the largest."""

    pinned: bool
    update_ms: int
    ref: int


class ConversationReads(Protocol):
    """Reads of the tables, which include every answered change. All methods raise `kit.errors.Unavailable`."""

    async def view(self, tenant: str, conversation_id: str, user: str) -> View | None:
        """The conversation, for a member or a former one; None for others, and where there is none."""
        ...

    async def summaries(self, views: Sequence[View]) -> Sequence[Summary]:
        """The summary of each, in order."""
        ...

    async def list(
        self, tenant: str, user: str, after: ListPosition | None, limit: int, *, archived: bool = False
    ) -> Sequence[View]:
        """Up to `limit` conversations of which the user is a member, in order of the list: those that it has archived,
        or the others; see `domain.is_archived`."""
        ...

    async def inbox(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """Up to `limit` conversations of which the user is a member, in the order of their `ref`, after that one.

        A new message does not change the order. Reads as many rows as it returns."""
        ...

    async def memberships(self, tenant: str, user: str, after: int, limit: int) -> Sequence[View]:
        """Up to `limit` conversations of which the user is or was a member, in the order of their `ref`, after that
        one."""
        ...

    async def drafts(self, views: Sequence[View]) -> Mapping[int, str]:
        """What the users have written and not sent, by the `ref` of the view; nothing where there is none."""
        ...

    async def name_at(self, view: View, seq: int) -> tuple[str, str]:
        """The name and the picture that the conversation had at that number."""
        ...

    async def members(self, view: View, after: str, limit: int) -> Sequence[Member]:
        """Up to `limit` current members by user, after a user."""
        ...

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        """The epoch of the members, and all rows, also of former ones; 0 and none where there is no such
        conversation."""
        ...

    async def messages(self, view: View, span: Span, limit: int, *, from_end: bool) -> Sequence[StoredItem]:
        """Up to `limit` messages of a range with an end, oldest first: its first ones, or its last ones."""
        ...

    async def messages_by(self, view: View, user: str, span: Span, limit: int) -> Sequence[int]:
        """The numbers of up to `limit` messages that the user has sent and that are not deleted, from the beginning of
        a range with an end. Reads all items of the range: it is best no longer than `PART_ITEMS`."""
        ...

    async def items(self, view: View, span: Span, limit: int) -> Sequence[StoredItem]:
        """Up to `limit` items from the beginning of a range with an end."""
        ...

    async def find_items(self, view: View, seqs: Sequence[int]) -> Mapping[int, StoredItem]:
        """Single items, those that exist."""
        ...


class DueConversation(NamedTuple):
    """A conversation that retention has something to do for. `ref` names it in further calls."""

    ref: int
    key: TargetKey
    head: Head


class RetentionRows(Protocol):
    """Conversations by the time at which retention is due, and the removal of rows.

    All methods raise `kit.errors.Unavailable`.
    """

    def due(self, shard: int, now_ms: int) -> AsyncIterator[Sequence[DueConversation]]:
        """The conversations of the shard with a `retention_due_ms` up to `now_ms`, in pages, those that are due first
        before the others. Reads no others."""
        ...

    async def time_of(self, conversation: DueConversation, seq: int) -> int | None:
        """The time of an item whose row is not removed, in milliseconds since 1970; None: there is none."""
        ...

    async def purge(self, conversation: DueConversation, span: Span) -> None:
        """Removes the rows of the items of a range, apart from the names that the conversation had. They do not come
        back. Repeating it changes nothing. Raises OutcomeUnknown, too."""
        ...


class ReactionErasure(Protocol):
    """The service that keeps reactions."""

    async def erase(self, key: TargetKey, seqs: Sequence[int]) -> None:
        """Erases the reactions on messages of the conversation with these numbers. Other numbers and messages without
        reactions are no error. Raises `kit.errors.Unavailable`."""
        ...


class StoredReport(NamedTuple):
    """A report, and what was decided last about it."""

    conversation_id: str
    report: Report
    resolution: ReportResolution | None


class StoredAudit(NamedTuple):
    """An audit record, and the conversation that it is about."""

    conversation_id: str
    record: AuditRecord


class ModerationReads(Protocol):
    """Reads of reports and audit records, which include every answered change. All methods raise
    `kit.errors.Unavailable`."""

    async def report(self, tenant: str, report_id: str) -> StoredReport | None:
        """A report; None: there is none."""
        ...

    async def reports(self, tenant: str, status: ReportStatus, before: str, limit: int) -> Sequence[StoredReport]:
        """Up to `limit` reports of a status, or of ANY, latest first, with ids below `before`; "": from the latest."""
        ...

    async def reports_by(self, tenant: str, user: str, after: str, limit: int) -> Sequence[StoredReport]:
        """Up to `limit` reports of the user, in the order of time, with ids above `after`; "": from the first one."""
        ...

    async def audits(self, tenant: str, before: str, limit: int) -> Sequence[StoredAudit]:
        """Up to `limit` records, latest first, with ids below `before`; "": from the latest."""
        ...
