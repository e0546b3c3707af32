"""Decides commands on one conversation, one after the other. Pure."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from message_svc.actions import (
    ACTIONS,
    OF_MODERATORS,
    WITHOUT_OP_ID,
    Action,
    AddMembers,
    Convert,
    CreateDirect,
    CreateGroup,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    EraseReports,
    HideBefore,
    Join,
    Leave,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RecordPurge,
    RemoveMember,
    Report,
    Send,
    SetDraft,
    SetMembership,
    SetRetention,
    SetRole,
    UnpinMessage,
    Update,
)
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import ConversationChange, Head, Member, Operation, Role
from message_svc.model import (
    erasure_rules,
    member_rules,
    message_rules,
    moderation_rules,
    pin_rules,
    retention_rules,
)
from message_svc.model.conversation import ConversationState
from message_svc.model.draft import Answer, Draft

_NUMBER_OF: dict[type[Any], int] = {action: number for number, action in enumerate(ACTIONS)}
_encode = msgspec.msgpack.Encoder().encode
_Handler = Callable[[Draft, Head, Member, Any], Answer]
_HANDLERS: dict[type[Any], _Handler] = {
    Send: message_rules.send,
    Edit: message_rules.edit,
    Delete: message_rules.delete,
    MarkDelivered: message_rules.mark_delivered,
    MarkRead: message_rules.mark_read,
    Update: member_rules.update,
    AddMembers: member_rules.add,
    RemoveMember: member_rules.remove,
    SetRole: member_rules.set_role,
    Convert: member_rules.convert,
    SetMembership: member_rules.set_membership,
    SetDraft: member_rules.set_draft,
    SetRetention: retention_rules.set_retention,
    PinMessage: pin_rules.pin,
    UnpinMessage: pin_rules.unpin,
}
"""The actions of current members."""
_OF_SERVICE: dict[type[Any], Callable[[Draft, Head, Any], Answer]] = {
    HideBefore: retention_rules.hide_before,
    RecordPurge: retention_rules.record_purge,
}
"""The actions that the service takes by itself."""


def digest_of(action: Action) -> bytes:
    """Identifies what an operation asks for: 16 bytes."""
    if isinstance(action, Report):
        action = Report(action.seq)
    what: tuple[Any, ...] = _sent(action) if isinstance(action, Send) else action
    if isinstance(action, Delete | RemoveMember | SetRole) and not action.reason:
        what = action[:-1]  # as before there were reasons: digests are kept
    return blake2b(_encode((_NUMBER_OF[type(action)], what)), digest_size=16).digest()


def _sent(action: Send) -> tuple[Any, ...]:
    """What a message asks for, without `clear_draft`; of a forwarded one without what is copied, which a retry may not
    find any more."""
    content, content_type, *others, _ = action.body
    if not action.forward_of:
        return (content, content_type, *others), action.expect_epoch
    return ("", "", *others), action.expect_epoch, action.forward_of


class ConversationDecision:
    """The decision of a batch of commands on one conversation. Does not change the `ConversationState`."""

    def __init__(self, state: ConversationState, region: str = "", retention_seconds: int = 0) -> None:
        """See `Draft`."""
        self._state = state
        self._draft = Draft(state, region, retention_seconds)

    @property
    def is_changed(self) -> bool:
        """Whether there is something to store."""
        return self._draft.is_changed

    def change(self, stamp: int, now: int) -> ConversationChange:
        """The change, of an entry with this stamp, decided at `now` (microseconds). Something was changed."""
        return self._draft.change(stamp, now)

    def decide(self, command: Command, now: int) -> tuple[Answer, bool]:
        """Decides a command at `now` (microseconds); returns its answer, and whether that was stored before.

        A refused command changes nothing. The refusal of a member or a moderator is stored with its id, and that of a
        report by a former member: a late attempt of the same operation gets it, too. Others cannot store anything.
        """
        draft, action, key = self._draft, command.action, (command.user, command.op_id)
        if isinstance(action, WITHOUT_OP_ID):
            return self._decide_new(command, now), False
        digest = digest_of(action)
        decided_now = draft.operations.get(key)
        made = decided_now or self._state.answer_of(key)
        if made is None:
            answer = self._decide_new(command, now)
            if isinstance(answer, Outcome):
                draft.operations[key] = Operation(*key, digest, answer.seq, answer.time_ms, answer.ordinal)
            elif answer.reason is not Reason.PERMISSION_UNKNOWN and self._may_store(command):
                reason = answer.reason.value
                draft.operations[key] = Operation(*key, digest, answer.epoch_seq, 0, answer.epoch, reason)
            return answer, False
        if made.digest != digest:
            return Refusal(Reason.CONFLICT), False
        # The tables may already have the operation of an entry that is not part of the state yet.
        last_seq = self._state.head.last_seq if self._state.head is not None else 0
        is_certain = decided_now is None and 0 < made.seq <= last_seq
        if made.reason:
            return Refusal(Reason(made.reason), made.ordinal, made.seq), is_certain
        return Outcome(made.seq, made.time_ms, made.ordinal), is_certain

    def _may_store(self, command: Command) -> bool:
        """Whether a refusal of this command is stored."""
        # The row of a member may be of a later entry than the head: then there is no conversation yet.
        if self._draft.head is None:
            return False
        if isinstance(command.action, OF_MODERATORS) or self._draft.is_member(command.user):
            return True
        return isinstance(command.action, Report) and self._draft.member(command.user) is not None

    def _decide_new(self, command: Command, now: int) -> Answer:
        draft, action, user = self._draft, command.action, command.user
        head = draft.head
        draft.time_ms = max(now // 1000, head.update_ms if head is not None else 0)
        draft.op_id = command.op_id
        draft.denial = command.denial
        if isinstance(action, CreateDirect):
            return member_rules.create_direct(draft, user, action)
        if isinstance(action, CreateGroup):
            return member_rules.create_group(draft, user, action)
        if head is not None and type(action) in _OF_SERVICE:
            return _OF_SERVICE[type(action)](draft, head, action)
        if head is not None and isinstance(action, EraseReports):
            return erasure_rules.erase_reports(draft, user, action)
        if head is not None and isinstance(action, OF_MODERATORS):
            return moderation_rules.moderate(draft, head, user, action)
        member = draft.member(user)
        if head is not None and head.close_ms and not isinstance(action, EraseMessages | EraseMember):
            is_member = member is not None and member.role is not Role.NONE
            return Refusal(Reason.CLOSED if is_member else Reason.NOT_FOUND)
        if head is not None and isinstance(action, Join):
            return member_rules.join(draft, head, user, member)
        if head is None or member is None:
            return Refusal(Reason.NOT_FOUND)
        if isinstance(action, Leave):
            return member_rules.leave(draft, head, member)
        if isinstance(action, EraseMessages):
            return erasure_rules.erase_messages(draft, head, member, action)
        if isinstance(action, EraseMember):
            return erasure_rules.erase_member(draft, head, member, action)
        if isinstance(action, Report):
            return moderation_rules.report(draft, member, action)
        if member.role is Role.NONE:
            return Refusal(Reason.NOT_FOUND)
        return _HANDLERS[type(action)](draft, head, member, action)
