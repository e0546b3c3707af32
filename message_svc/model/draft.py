"""A conversation while commands on it are decided: the state, and the rows and items that they add. Pure."""

from __future__ import annotations

from typing import Any

from kit.tenant_keys import TargetKey
from message_svc.commands import Denial, Outcome, Reason, Refusal
from message_svc.domain import (
    ConversationChange,
    Head,
    Item,
    ItemFacts,
    ItemType,
    Kind,
    Member,
    Operation,
    ReceiptMove,
    Role,
    UserDraft,
)
from message_svc.member_views import is_in, visible_spans
from message_svc.model.conversation import ConversationState, OperationKey, facts_of, senders_after
from message_svc.moderation_records import (
    AUDIT,
    AuditAction,
    AuditRecord,
    Capacity,
    Report,
    ReportErasure,
    ReportResolution,
    record_id,
)

Answer = Outcome | Refusal
UNCHANGED = Outcome(0)


class Draft:
    """See the module. Does not change the `ConversationState`."""

    def __init__(self, state: ConversationState, region: str, retention_seconds: int = 0) -> None:
        """`region`: where this process runs; "": there is one region only. `retention_seconds`: of a new
        conversation."""
        self.head = state.head
        self.members: dict[str, Member] = {}
        """The rows that changed."""
        self.operations: dict[OperationKey, Operation] = {}
        self.region = region
        self.retention_seconds = retention_seconds
        self.time_ms = 0
        """The time of the command that is decided."""
        self.op_id = ""
        """Its operation id."""
        self.denial: Denial | None = None
        """Its denial."""
        self.reports: list[Report] = []
        self.resolutions: list[ReportResolution] = []
        self.erased_reports: list[ReportErasure] = []
        self._audits: list[AuditRecord] = []
        self._state = state
        self._facts: dict[int, ItemFacts | None] = {}
        self._items: list[Item] = []
        self._receipts: dict[str, ReceiptMove] = {}
        self._own_changes: dict[str, None] = {}
        self._user_drafts: dict[str, UserDraft] = {}
        self._senders: dict[str, int] = {}  # who has sent a message in it, with the number of the last one, in order
        self._hidden_before = 0

    @property
    def key(self) -> TargetKey:
        """The tenant and the conversation."""
        return self._state.key

    @property
    def is_changed(self) -> bool:
        """Whether there is something to store."""
        return bool(self.members or self.operations or self.erased_reports) or self.head is not self._state.head

    def change(self, stamp: int, now: int) -> ConversationChange:
        """The change, of an entry with this stamp, decided at `now` (microseconds). Something was changed."""
        assert self.head is not None
        watermark = self._state.watermark.with_all([op_id for _, op_id in self.operations], now)
        head = self.head._replace(stamp=stamp, highest=watermark.highest, ahead=tuple(sorted(watermark.ahead)))
        operations, receipts = list(self.operations.values()), list(self._receipts.values())
        own_changes = list(self._own_changes)
        return ConversationChange(
            self._state.key,
            head,
            self._items,
            self.members,
            operations,
            receipts,
            own_changes,
            list(self._user_drafts.values()),
            self._hidden_before,
            self.reports,
            self.resolutions,
            self._audits,
            self.erased_reports,
        )

    def audit(self, action: AuditAction, actor: str, capacity: Capacity, **fields: Any) -> None:
        """Adds the audit record of the command that is decided; `fields` are others of `AuditRecord`."""
        audit_id = record_id(AUDIT, self.time_ms, *self.key, actor, self.op_id)
        self._audits.append(AuditRecord(audit_id, action, actor, capacity, self.time_ms, **fields))

    def append(self, type_: ItemType, actor: str, **fields: Any) -> Outcome:
        """Appends an item with the next number; `fields` are others of `Item`."""
        head = self.head
        assert head is not None
        seq, ordinal, last_message_seq = head.last_seq + 1, head.ordinal, head.last_message_seq
        if type_ is ItemType.MESSAGE:
            ordinal, last_message_seq = ordinal + 1, seq
        item = Item(seq, type_, actor, self.time_ms, ordinal, origin_region=self.region, **fields)
        self._items.append(item)
        self._facts[seq] = facts_of(item)
        if type_ is ItemType.MESSAGE:
            self._senders.pop(actor, None)
            self._senders[actor] = seq
        elif type_ is ItemType.DELETE:
            deleted = self.facts(item.subject)
            if deleted is not None:
                self._facts[item.subject] = deleted._replace(is_deleted=True)
            head = head._replace(pinned=tuple(pin for pin in head.pinned if pin.seq != item.subject))
        due_ms = head.retention_due_ms
        if head.retention_seconds and not due_ms:
            due_ms = self.time_ms + head.retention_seconds * 1_000
        self.head = head._replace(
            last_seq=seq,
            update_ms=self.time_ms,
            ordinal=ordinal,
            last_message_seq=last_message_seq,
            retention_due_ms=due_ms,
        )
        return Outcome(seq, self.time_ms, ordinal)

    def set_own_row(self, member: Member) -> None:
        """Replaces the row of a member, whose devices are told of it."""
        self.members[member.user] = member
        self._own_changes[member.user] = None

    def with_draft(self, member: Member, content: str, device: str = "") -> Member:
        """The row of a member, who has written that and not sent; "": nothing. The text is not in the row."""
        if not content and not member.draft_ms:
            return member
        self._user_drafts[member.user] = UserDraft(member.user, content, self.time_ms, device)
        return member._replace(draft_ms=self.time_ms if content else 0)

    def hide_before(self, seq: int, hidden_ordinal: int, due_ms: int) -> None:
        """Lets the items below the number disappear; their rows are removed from `due_ms` on."""
        assert self.head is not None
        self._hidden_before = seq
        self.head = self.head._replace(visible_from=seq, hidden_ordinal=hidden_ordinal, retention_due_ms=due_ms)

    def count_members(self, members: int, admins: int) -> None:
        """Adds to the numbers of members and admins, and begins the next epoch of members."""
        head = self.head
        assert head is not None
        self.head = head._replace(
            members=head.members + members, admins=head.admins + admins, members_epoch=head.members_epoch + 1
        )

    def show_receipt(self, user: str, delivered_seq: int, read_seq: int, *, after: int) -> None:
        """Shows the senders of the messages between that a cursor moved from `after`; 0: it did not move."""
        shown = self._receipts.get(user, ReceiptMove(user, 0, 0, 0))
        self._receipts[user] = ReceiptMove(
            user,
            max(shown.delivered_seq, delivered_seq),
            max(shown.read_seq, read_seq),
            self.time_ms,
            tuple(dict.fromkeys((*shown.receivers, *self._senders_after(after, user)))),
        )

    def drop_receipt(self, user: str) -> None:
        """Shows no one that a cursor of the user moved in this entry: the user is erased."""
        self._receipts.pop(user, None)

    def _senders_after(self, seq: int, user: str) -> list[str]:
        """The other members who have sent messages after that number; in a direct conversation the other one."""
        assert self.head is not None
        if self.head.kind is Kind.DIRECT:
            others = {**self._state.members, **self.members}.keys() - {user}
        else:
            senders = senders_after(self._state.senders, self._senders.items())
            others = {sender for sender, sent in senders.items() if sent > seq and sender != user}
        return sorted(filter(self.is_member, others))

    def member(self, user: str) -> Member | None:
        """The row of a member or a former one."""
        row = self.members.get(user) or self._state.members.get(user)
        return row if row is not None and row.spans else None

    def is_member(self, user: str) -> bool:
        """Whether the user is a member now."""
        member = self.member(user)
        return member is not None and member.role is not Role.NONE

    def first_member(self) -> Member:
        """The member who joined first. There is one, and all members are in memory."""
        rows = {**self._state.members, **self.members}.values()
        return min(
            (row for row in rows if row is not None and row.role is not Role.NONE),
            key=lambda row: (row.joined_seq, row.user),
        )

    def facts(self, seq: int) -> ItemFacts | None:
        """The facts of an item that the command needs; None: there is none."""
        return self._facts.get(seq) or self._state.facts.get(seq)

    def message(self, seq: int) -> ItemFacts | None:
        """The message with that number; None where there is none."""
        facts = self.facts(seq)
        return facts if facts is not None and facts.type is ItemType.MESSAGE else None

    def message_seen_by(self, member: Member, seq: int) -> ItemFacts | None:
        """The message with that number; None where there is none that the member may see."""
        facts = self.message(seq)
        if facts is None:
            return None
        assert self.head is not None
        return facts if is_in(visible_spans(self.head, member), seq) else None


def refusal_by_peer(draft: Draft, head: Head) -> Refusal | None:
    """Why the member of a direct conversation may not write in it; None: it may."""
    if head.kind is Kind.DIRECT and draft.denial is not None and draft.denial.reason is Reason.CANNOT_MESSAGE:
        return Refusal(Reason.CANNOT_MESSAGE)
    return None


def refusal_to_set(head: Head, member: Member) -> Refusal | None:
    """Why the member may not change what the conversation is for all members; None: it may.

    Either user of a direct conversation may, elsewhere only admins.
    """
    return Refusal(Reason.ADMINS_ONLY) if head.kind is not Kind.DIRECT and member.role is not Role.ADMIN else None


def refusal_to_manage(head: Head, member: Member) -> Refusal | None:
    """Why the member may not change the conversation and its members; None: it may."""
    if head.kind is Kind.DIRECT:
        return Refusal(Reason.WRONG_KIND)
    return None if member.role is Role.ADMIN else Refusal(Reason.ADMINS_ONLY)
