"""How the service refuses, and what each refusal is called on the wire."""

from __future__ import annotations

import grpc

from kit.access.errors import ACCESS_ERRORS
from kit.auth.cursor import InvalidCursor
from kit.errors import ErrorTable, Problem
from kit.ledger.errors import LEDGER_ERRORS


class MemberNotFound(Problem):
    """The user is no member of the conversation."""


class OpConflict(Problem):
    """The caller has used the operation id for another change of the conversation."""


class MessageConflict(Problem):
    """The caller has used the client_msg_id for another message, or another change."""


class EpochChanged(Problem):
    """`expect_epoch` is not the epoch of the conversation any more."""


class GroupFull(Problem):
    """A group has at most 500 members."""


class WrongConversationType(Problem):
    """Conversations of this type do not have this."""


class NoReceipts(Problem):
    """A channel has no receipts."""


class PinsFull(Problem):
    """A conversation has at most 50 pinned messages."""


class LastAdmin(Problem):
    """No admin would remain."""


class MessageDeleted(Problem):
    """The message was deleted."""


class MediaUnavailable(Problem):
    """Images, videos and files cannot be sent yet."""


class CannotMessageUser(Problem):
    """The other user does not let the caller write, or the caller blocks it."""


class CannotAddUser(Problem):
    """A user does not let the caller add it, or the caller blocks it; `user_ids` has up to 10 such users."""


class RateLimited(Problem):
    """The caller does this more often than it may; nothing was done."""


class UserNotFound(Problem):
    """There is no such user, or it does not allow to be found."""


class UsernameTaken(Problem):
    """Another user has the username."""


class PhoneTaken(Problem):
    """Another user has the telephone number."""


class ListFull(Problem):
    """The caller has as many contacts, or blocks as many users, as it may."""


class AdminsOnly(Problem):
    """Only admins of the conversation may do this."""


class ConversationClosed(Problem):
    """A moderator has closed the conversation."""


class ReportNotFound(Problem):
    """There is no such report."""


class NotTheSender(Problem):
    """Only the sender of the message may do this."""


ERRORS: ErrorTable = {
    **LEDGER_ERRORS,
    **ACCESS_ERRORS,
    InvalidCursor: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CURSOR"),
    MemberNotFound: (grpc.StatusCode.NOT_FOUND, "MEMBER_NOT_FOUND"),
    OpConflict: (grpc.StatusCode.ABORTED, "OP_CONFLICT"),
    MessageConflict: (grpc.StatusCode.ABORTED, "MESSAGE_CONFLICT"),
    EpochChanged: (grpc.StatusCode.ABORTED, "EPOCH_CHANGED"),
    GroupFull: (grpc.StatusCode.FAILED_PRECONDITION, "GROUP_FULL"),
    WrongConversationType: (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_CONVERSATION_TYPE"),
    NoReceipts: (grpc.StatusCode.FAILED_PRECONDITION, "NO_RECEIPTS"),
    PinsFull: (grpc.StatusCode.FAILED_PRECONDITION, "PINS_FULL"),
    LastAdmin: (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN"),
    MessageDeleted: (grpc.StatusCode.FAILED_PRECONDITION, "MESSAGE_DELETED"),
    MediaUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, "MEDIA_UNAVAILABLE"),
    CannotMessageUser: (grpc.StatusCode.PERMISSION_DENIED, "CANNOT_MESSAGE_USER"),
    CannotAddUser: (grpc.StatusCode.PERMISSION_DENIED, "CANNOT_ADD_USER"),
    RateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    UserNotFound: (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND"),
    UsernameTaken: (grpc.StatusCode.ALREADY_EXISTS, "USERNAME_TAKEN"),
    PhoneTaken: (grpc.StatusCode.ALREADY_EXISTS, "PHONE_TAKEN"),
    ListFull: (grpc.StatusCode.FAILED_PRECONDITION, "LIST_FULL"),
    AdminsOnly: (grpc.StatusCode.PERMISSION_DENIED, "ADMINS_ONLY"),
    ConversationClosed: (grpc.StatusCode.FAILED_PRECONDITION, "CONVERSATION_CLOSED"),
    ReportNotFound: (grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND"),
    NotTheSender: (grpc.StatusCode.PERMISSION_DENIED, "NOT_THE_SENDER"),
}
