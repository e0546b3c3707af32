"""Commands that change conversations, their outcomes and the reasons of refusals."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.actions import Action
from message_svc.domain import Member

# Named tuples: these are made for every command, and a frozen dataclass takes four times as long to make.


class Reason(Enum):
    """Why a command was not applied."""

    # There is no such conversation, or the user is no member.
    NOT_FOUND = "not_found"
    # There is no such message, or it is no message.
    NO_MESSAGE = "no_message"
    # The message to forward does not exist, was deleted, or the user may not see it.
    NO_ORIGIN = "no_origin"
    # Its op_id belongs to another operation of the user.
    CONFLICT = "conflict"
    GROUP_FULL = "group_full"
    ADMINS_ONLY = "admins_only"
    # Conversations of this kind do not have this.
    WRONG_KIND = "wrong_kind"
    NO_RECEIPTS = "no_receipts"
    NOT_SENDER = "not_sender"
    DELETED = "deleted"
    LAST_ADMIN = "last_admin"
    PINS_FULL = "pins_full"
    # `expect_epoch` is not the epoch of the conversation.
    EPOCH_CHANGED = "epoch_changed"
    # The user to whom it applies is no member.
    NO_MEMBER = "no_member"
    # The other user does not let the user write.
    CANNOT_MESSAGE = "cannot_message"
    # A user does not let the user add it.
    CANNOT_ADD = "cannot_add"
    # It cannot be read whether the other users let the user do this.
    PERMISSION_UNKNOWN = "permission_unknown"
    # A moderator has closed the conversation.
    CLOSED = "closed"


class Denial(NamedTuple):
    """Users who do not let the user do what a command asks for, where it concerns them, and the reason."""

    reason: Reason
    users: tuple[str, ...]


class Command(NamedTuple):
    """An action of a user on a conversation. `op_id` identifies it across retries, among those of the user.

    `denial` is no part of what it asks for: a retry may have another one.
    """

    tenant: str
    conversation_id: str
    user: str
    op_id: str
    action: Action
    denial: Denial | None = None

    @property
    def key(self) -> TargetKey:
        """The key of the conversation in the ledger."""
        return self[0], self[1]


class Outcome(NamedTuple):
    """What a command did: the number of its item (0: nothing had to be changed), its time and ordinal.

    `member` is the row of the user after a command that moves cursors or changes the membership.
    """

    seq: int
    time_ms: int = 0
    ordinal: int = 0
    member: Member | None = None


class Refusal(NamedTuple):
    """A command that was not applied. `epoch` and `epoch_seq`: of the conversation, where that is the reason."""

    reason: Reason
    epoch: int = 0
    epoch_seq: int = 0
