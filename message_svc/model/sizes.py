"""An upper bound of the size of an entry, from its commands alone."""

from __future__ import annotations

from collections.abc import Sequence

from kit.tenant_keys import TargetKey
from message_svc.actions import (
    AddMembers,
    CloseConversation,
    CreateDirect,
    CreateGroup,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    EraseReports,
    ExcludeMember,
    MarkDelivered,
    MarkRead,
    RemoveMember,
    RemoveMessage,
    Report,
    ResolveReport,
    Send,
    SetDraft,
    SetRole,
    Update,
)
from message_svc.commands import Command
from message_svc.domain import MAX_DEVICES, MAX_PINNED, MAX_SENDERS, MAX_SPANS, Body

_ID_BYTES = 66
# Key, name, picture, creator, numbers, the highest operation id and up to 16 from the future, pinned messages.
_HEAD_BYTES = 4_000 + 20 * MAX_PINNED
# The ids of an item, its numbers, and its operation.
_ITEM_BYTES = 7 * _ID_BYTES
# The ids of an audit record, and its numbers.
_AUDIT_BYTES = 5 * _ID_BYTES
_MEMBER_BYTES = 2 * _ID_BYTES + 22 * MAX_SPANS + (_ID_BYTES + 13) * MAX_DEVICES
# The ids of a draft, and its time; the text is part of its action.
_DRAFT_BYTES = 3 * _ID_BYTES
_NEW_MEMBER_BYTES = 2 * _ID_BYTES + 60


class EntrySizer:
    """See `kit.ledger.ports.Sizer`."""

    def __init__(self) -> None:
        self._bytes = 0
        self._keys: set[TargetKey] = set()

    def add(self, commands: Sequence[Command]) -> int:
        """See `Sizer`."""
        for command in commands:
            if command.key not in self._keys:
                self._keys.add(command.key)
                self._bytes += _HEAD_BYTES
            # The row of the user, and of another one.
            self._bytes += _ITEM_BYTES + _AUDIT_BYTES + _DRAFT_BYTES + 2 * _MEMBER_BYTES
            self._bytes += _action_bytes(command)
        return self._bytes


def _action_bytes(command: Command) -> int:
    action = command.action
    if isinstance(action, Send):
        return body_bytes(action.body)
    if isinstance(action, SetDraft):
        return len(action.content.encode())
    if isinstance(action, Edit):
        return body_bytes(Body(action.content, "", 0, action.mentions, action.metadata))
    if isinstance(action, CreateDirect | CreateGroup):
        others = action.others if isinstance(action, CreateGroup) else (action.other,)
        return (len(others) + 1) * (_NEW_MEMBER_BYTES + _ID_BYTES) + 1_000
    if isinstance(action, AddMembers):
        # Former members may come back.
        return len(action.users) * (_NEW_MEMBER_BYTES + _ID_BYTES + 22 * MAX_SPANS)
    if isinstance(action, MarkRead | MarkDelivered):
        return MAX_SENDERS * _ID_BYTES
    if isinstance(action, EraseMessages):
        return len(action.seqs) * _ITEM_BYTES
    if isinstance(action, EraseReports):
        return len(action.report_ids) * 3 * _ID_BYTES
    if isinstance(action, EraseMember):
        return _ITEM_BYTES  # of the admin who follows
    if isinstance(action, Report):
        return len(action.content.encode()) + len(action.comment.encode()) + 4 * _ID_BYTES
    if isinstance(action, ResolveReport):
        return 2 * len(action.note.encode()) + 3 * _ID_BYTES
    if isinstance(action, RemoveMessage | ExcludeMember | CloseConversation):
        # Another member may become an admin.
        return len(action.reason.encode()) + _ITEM_BYTES + _MEMBER_BYTES
    if isinstance(action, Delete | RemoveMember | SetRole):
        return len(action.reason.encode())
    return 1_000 if isinstance(action, Update) else 0


def body_bytes(body: Body) -> int:
    """The size of a body in an entry, at most."""
    metadata = sum(len(name.encode()) + len(value.encode()) + 8 for name, value in body.metadata)
    mentions = sum(len(user) + 3 for user in body.mentions)
    return len(body.content.encode()) + metadata + mentions + 50
