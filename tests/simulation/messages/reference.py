"""What the entries say of one conversation, in the order of their positions: it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kit.tenant_keys import TargetKey
from message_svc.domain import (
    ConversationChange,
    DeletedBy,
    Head,
    Item,
    ItemType,
    Member,
    Operation,
    Pin,
    Role,
    UserDraft,
)
from message_svc.moderation_records import AuditAction, AuditRecord, Report, ReportResolution
from tests.simulation.world import Violation

OperationKey = tuple[str, str]


class ConversationReference:
    """One conversation: everything that was ever true of it."""

    def __init__(self, key: TargetKey) -> None:
        self.key = key
        self.head: Head | None = None
        self.items: list[Item] = []
        self.members: dict[str, Member] = {}
        self.operations: dict[OperationKey, Operation] = {}
        self.bodies: dict[int, str | None] = {}
        """The text of each message by its number; None: it is deleted."""
        self.roles: dict[str, list[tuple[int, Role]]] = {}
        """The roles of each user with the positions from which on they had them."""
        self.erased_at: dict[str, int] = {}
        """The position at which each user was erased last."""
        self.created_at = 0
        self.drafts: dict[str, UserDraft] = {}
        self.audits: dict[str, AuditRecord] = {}
        self.reports: dict[str, Report] = {}
        self.resolutions: dict[str, ReportResolution] = {}

    def apply(self, change: ConversationChange, position: int) -> None:
        """Applies an entry; raises Violation where it contradicts what is there."""
        self.created_at = self.created_at or position
        for item in change.items:
            require(item.seq == len(self.items) + 1, "the numbers of a conversation have a gap or a repeat", item)
            require(not self.items or item.time_ms >= self.items[-1].time_ms, "times go back", item)
            self.items.append(item)
            self._apply_body(item)
        messages = sum(item.type is ItemType.MESSAGE for item in self.items)
        require(change.head.ordinal == messages, "the ordinal is not the number of messages", change.head, messages)
        require(change.head.last_seq == len(self.items), "the head has another number", change.head)
        require(self.head is None or change.head.stamp > self.head.stamp, "the stamp does not grow", change.head)
        for operation in change.operations:
            key = operation[:2]
            require(key not in self.operations, "an operation is made twice", operation)
            self.operations[key] = operation
        self._check_receipts(change)
        self._check_own_changes(change)
        self._check_retention(change)
        self._check_moderation(change)
        for user, row in change.members.items():
            self._apply_member(user, row, position)
        self._apply_drafts(change)
        require(change.head.pinned == pins_of(self.items), "other messages are pinned", change.head)
        self.head = change.head
        current = [row for row in self.members.values() if row.role is not Role.NONE]
        require(change.head.members == len(current), "the head has another number of members", change.head, current)

    def was_member(self, user: str, after: int, through: int) -> bool:
        """Whether the user was a member at every moment from the end of entry `after` to that of `through`."""
        roles = self.roles.get(user, [])
        at_first = [role for position, role in roles if position <= after]
        later = [role for position, role in roles if after < position <= through]
        return bool(at_first) and at_first[-1] is not Role.NONE and Role.NONE not in later

    def _check_receipts(self, change: ConversationChange) -> None:
        """Receipts never move back, and reach all senders of the messages that a cursor passed."""
        before, after = self.members, {**self.members, **change.members}
        for moved in change.receipts:
            row, first = after[moved.user], before.get(moved.user)
            if is_erased(first, row):
                continue  # by the same entry: what the receipt says is not in the row any more
            delivered, shown = (first.delivered_seq, first.shown_read_seq) if first is not None else (0, 0)
            if moved.delivered_seq:
                require(delivered < moved.delivered_seq <= row.delivered_seq, "a receipt goes back", moved, first)
            if moved.read_seq:
                require(shown < moved.read_seq == row.shown_read_seq, "a receipt goes back", moved, first)
            passed = [
                *self.items[(delivered if moved.delivered_seq else shown) : max(moved.delivered_seq, moved.read_seq)]
            ]
            senders = {item.actor for item in passed if item.type is ItemType.MESSAGE} - {moved.user}
            stayed = {user for user in senders if is_member(before, user) and is_member(after, user)}
            require(stayed <= set(moved.receivers), "a sender is not told of a receipt", moved, stayed)
            told = [user for user in moved.receivers if is_member(before, user) or is_member(after, user)]
            require(len(told) == len(moved.receivers), "others than members are told of a receipt", moved)

    def _check_own_changes(self, change: ConversationChange) -> None:
        """Devices are told of everything that a member has changed for itself."""
        for user, row in change.members.items():
            before = self.members.get(user)
            if before is not None and not is_erased(before, row) and own_settings(before) != own_settings(row):
                require(user in change.own_changes, "devices are not told of a change", before, row)

    def _check_retention(self, change: ConversationChange) -> None:
        """The boundary never moves back, and consumers learn of each move; retention is due where there is work."""
        head, before = change.head, self.head
        visible_from, purged_before = (before.visible_from, before.purged_before) if before is not None else (0, 0)
        require(visible_from <= head.visible_from <= len(self.items) + 1, "the boundary moves back", before, head)
        expected = head.visible_from if head.visible_from > visible_from else 0
        require(change.hidden_before == expected, "a move of the boundary is not told", change)
        hidden = sum(item.type is ItemType.MESSAGE for item in self.items[: max(head.visible_from - 1, 0)])
        require(head.hidden_ordinal == hidden, "the number of hidden messages is another", head, hidden)
        require(purged_before <= head.purged_before <= head.visible_from, "visible rows are removed", before, head)
        has_work = head.retention_seconds > 0 and head.last_seq >= head.visible_from
        require(not has_work or head.retention_due_ms > 0, "retention forgets a conversation", before, head)

    def _check_moderation(self, change: ConversationChange) -> None:
        """Each act on others has one record in the entry of the act, and nothing else has one."""
        for audit in change.audits:
            require(audit.audit_id not in self.audits, "an act has two records", audit)
            self.audits[audit.audit_id] = audit
        for report in change.reports:
            same = [
                each for each in self.reports.values() if (each.seq, each.reporter) == (report.seq, report.reporter)
            ]
            require(not same, "a user has reported a message twice", report)
            self.reports[report.report_id] = report
        self.resolutions.update((each.report_id, each) for each in change.resolutions)
        acts = [
            (item.type, item.subject, item.users)
            for item in change.items
            if item.type in (ItemType.MEMBER_REMOVED, ItemType.ROLE_CHANGED, ItemType.CLOSED)
            or item.deleted_by > DeletedBy.SENDER
        ]
        # Nobody is asked who becomes an admin after the last one, and a user may step down.
        own = sum(item.type is ItemType.ROLE_CHANGED for item in change.items)
        made = [audit for audit in change.audits if audit.action is not AuditAction.REPORT_RESOLVED]
        require(len(acts) - own <= len(made) <= len(acts), "acts and records differ", acts, change.audits)
        resolved = [audit for audit in change.audits if audit.action is AuditAction.REPORT_RESOLVED]
        require(len(resolved) == len(change.resolutions), "a decision has no record", change.resolutions)

    def _apply_drafts(self, change: ConversationChange) -> None:
        """A member has a draft where its row says so, and nobody else has one."""
        self.drafts.update((draft.user, draft) for draft in change.drafts)
        written = {user: draft.time_ms for user, draft in self.drafts.items() if draft.content}
        dated = {user: row.draft_ms for user, row in self.members.items() if row.draft_ms}
        require(written == dated, "rows and drafts differ", written, dated)
        require(all(is_member(self.members, user) for user in written), "a former member has a draft", written)

    def _apply_body(self, item: Item) -> None:
        if item.type in (ItemType.MESSAGE, ItemType.EDIT):
            seq = item.seq if item.type is ItemType.MESSAGE else item.subject
            require(item.type is ItemType.MESSAGE or self.bodies.get(seq) is not None, "an edit of nothing", item)
            assert item.body is not None
            self.bodies[seq] = item.body.content
        elif item.type is ItemType.DELETE:
            require(self.bodies.get(item.subject) is not None, "a deletion of nothing", item)
            self.bodies[item.subject] = None

    def _apply_member(self, user: str, row: Member, position: int) -> None:
        before = self.members.get(user)
        if is_erased(before, row):  # its row is deleted, or begins again
            self.erased_at[user] = position
        elif before is not None:
            for name in ("read_seq", "shown_read_seq", "delivered_seq"):
                require(getattr(row, name) >= getattr(before, name), f"{name} goes back", before, row)
            require(
                all(dict(row.devices).get(device, seq) >= seq for device, seq in before.devices),
                "the cursor of a device goes back", before, row,
            )  # fmt: skip
        require(row.read_seq <= len(self.items), "a cursor is beyond the head", row)
        self.members[user] = row
        if before is not None and before.spans != row.spans:
            # It may have left and come back within the entry.
            self.roles.setdefault(user, []).append((position, Role.NONE))
            self.roles[user].append((position, row.role))
        elif before is None or before.role is not row.role:
            self.roles.setdefault(user, []).append((position, row.role))


def pins_of(items: Sequence[Item]) -> tuple[Pin, ...]:
    """The pinned messages after these items."""
    pins: dict[int, Pin] = {}
    for item in items:
        if item.type is ItemType.PINNED:
            require(item.subject not in pins, "a message is pinned twice", item)
            pins[item.subject] = Pin(item.subject, item.seq)
        elif item.type in (ItemType.UNPINNED, ItemType.DELETE):
            pins.pop(item.subject, None)
    return tuple(pins.values())


def is_erased(before: Member | None, after: Member) -> bool:
    """Whether the row has begun again."""
    return before is not None and before.spans[:1] != after.spans[:1]


def own_settings(row: Member) -> tuple[object, ...]:
    """What a member changes for itself."""
    return row.mute_until_ms, row.pinned, row.archived_seq, row.marked_unread


def is_member(rows: Mapping[str, Member], user: str) -> bool:
    """Whether the user is a member according to these rows."""
    return user in rows and rows[user].role is not Role.NONE


def require(is_so: bool, otherwise: str, *details: object) -> None:
    """Raises Violation."""
    if not is_so:
        raise Violation(f"{otherwise}: {' | '.join(map(repr, details))}")
