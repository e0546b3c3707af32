"""Checks of what callers name, and refusals of the ledger as problems."""

from __future__ import annotations

from kit.access.errors import ConversationNotFound, MessageNotFound
from kit.auth.caller import Caller
from kit.errors import Invalid, Problem, Unavailable
from kit.message_ids import is_conversation_id, message_id, parse_message_id
from kit.target import is_id
from message_svc.commands import Denial, Outcome, Reason, Refusal
from message_svc.errors import (
    AdminsOnly,
    CannotAddUser,
    CannotMessageUser,
    ConversationClosed,
    EpochChanged,
    GroupFull,
    LastAdmin,
    MemberNotFound,
    MessageDeleted,
    NoReceipts,
    NotTheSender,
    OpConflict,
    PinsFull,
    WrongConversationType,
)

_PROBLEMS: dict[Reason, tuple[type[Problem], str, str]] = {
    Reason.NOT_FOUND: (ConversationNotFound, "there is no such conversation", "conversation_id"),
    Reason.NO_MESSAGE: (MessageNotFound, "the conversation has no such message", "message_id"),
    Reason.NO_ORIGIN: (MessageNotFound, "there is no such message", "forward_of"),
    Reason.NO_MEMBER: (MemberNotFound, "this user is no member", "user_id"),
    Reason.CONFLICT: (OpConflict, "this op_id belongs to another change", "op_id"),
    Reason.GROUP_FULL: (GroupFull, "a group has at most 500 members", ""),
    Reason.ADMINS_ONLY: (AdminsOnly, "only admins of the conversation may do this", ""),
    Reason.WRONG_KIND: (WrongConversationType, "conversations of this type do not have this", "conversation_id"),
    Reason.NO_RECEIPTS: (NoReceipts, "a channel has no receipts", "conversation_id"),
    Reason.NOT_SENDER: (NotTheSender, "this message is another user's", "message_id"),
    Reason.DELETED: (MessageDeleted, "the message was deleted", "message_id"),
    Reason.PINS_FULL: (PinsFull, "unpin another message first", ""),
    Reason.LAST_ADMIN: (LastAdmin, "make another member an admin first", ""),
    Reason.CLOSED: (ConversationClosed, "a moderator has closed the conversation", "conversation_id"),
    Reason.CANNOT_MESSAGE: (CannotMessageUser, "you cannot write to this user", ""),
}
_MAX_NAMED = 10


def problem_of(refusal: Refusal, conversation_id: str, denial: Denial | None = None) -> Problem:
    """The problem for a refusal of a command on that conversation."""
    if refusal.reason is Reason.CANNOT_ADD:
        about = {"user_ids": ",".join(denial.users[:_MAX_NAMED])} if denial is not None else {}
        return CannotAddUser("you cannot add some of these users", about=about)
    if refusal.reason is Reason.PERMISSION_UNKNOWN:
        return Unavailable("it cannot be read whether these users allow it; nothing was done", retry_after=1.0)
    if refusal.reason is Reason.EPOCH_CHANGED:
        winner = message_id(conversation_id, refusal.epoch_seq) if refusal.epoch_seq else ""
        about = {"epoch": str(refusal.epoch), "message_id": winner}
        return EpochChanged("the conversation has another epoch by now", field="expect_epoch", about=about)
    kind, message, field = _PROBLEMS[refusal.reason]
    return kind(message, field=field)


def outcome_or_raise(
    answer: Outcome | Refusal | Problem, conversation_id: str, denial: Denial | None = None
) -> Outcome:
    """The outcome; raises Problem where there is none."""
    if isinstance(answer, Refusal):
        raise problem_of(answer, conversation_id, denial)
    if isinstance(answer, Problem):
        raise answer
    return answer


def user_of(who: Caller) -> str:
    """The user for whom a call is; raises Invalid."""
    if not is_id(who.user):
        raise Invalid("say for whom: a user is 1 to 64 letters, digits or _.~-, but not . or ..", field="user")
    return who.user


def check_user(user: str, field: str) -> None:
    """Raises Invalid where this is no id of a user."""
    if not is_id(user):
        raise Invalid("a user is 1 to 64 letters, digits or _.~-, but not . or ..", field=field)


def check_conversation_id(conversation_id: str) -> None:
    """Raises ConversationNotFound where this is no id of a conversation."""
    if not is_conversation_id(conversation_id):
        raise problem_of(Refusal(Reason.NOT_FOUND), conversation_id)


def seq_in(conversation_id: str, message: str, field: str = "message_id") -> int:
    """The number of a message of that conversation; raises MessageNotFound where its id names none."""
    ref = parse_message_id(message)
    if ref is None or ref.conversation_id != conversation_id:
        raise MessageNotFound("the conversation has no such message", field=field)
    return ref.seq
