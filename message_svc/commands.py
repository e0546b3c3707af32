"""Commands that change conversations, their outcomes and the reasons of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.domain import Body, Member, Role
from message_svc.moderation_records import ReportStatus

# Named tuples: these are made for every command, and a frozen dataclass takes four times as long to make.


class CreateDirect(NamedTuple):
    """Creates the direct conversation with another user, where it is missing."""

    other: str


class CreateGroup(NamedTuple):
    """Creates a group; `others`: its members without the creator."""

    name: str
    avatar_url: str
    others: tuple[str, ...]


class Send(NamedTuple):
    """Sends a message; `expect_epoch` -1: unconditional.

    `forward_of`: the message whose content the body has; "" where the content is the sender's own. A body without
    content then says that the sender sees no such message.

    `clear_draft`: whether the draft of the sender is removed; no part of what the message asks for.
    """

    body: Body
    expect_epoch: int = -1
    forward_of: str = ""
    clear_draft: bool = False


class Edit(NamedTuple):
    """Replaces the content, the mentions and the metadata of a message."""

    seq: int
    content: str
    mentions: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


class Delete(NamedTuple):
    """Deletes a message."""

    seq: int


class PinMessage(NamedTuple):
    """Pins a message."""

    seq: int


class UnpinMessage(NamedTuple):
    """Makes a message not pinned any more."""

    seq: int


class Update(NamedTuple):
    """Changes the name and the picture; None: stays as it is."""

    name: str | None
    avatar_url: str | None


class AddMembers(NamedTuple):
    """Adds members."""

    users: tuple[str, ...]


class RemoveMember(NamedTuple):
    """Removes a member."""

    user: str


class Leave(NamedTuple):
    """Makes the user leave."""


class Join(NamedTuple):
    """Makes the user a member of a channel."""


class SetRole(NamedTuple):
    """Changes the role of a member."""

    user: str
    role: Role


class Convert(NamedTuple):
    """Makes a group a channel."""


class MarkDelivered(NamedTuple):
    """Moves the cursor of a device."""

    seq: int
    device: str = ""


class MarkRead(NamedTuple):
    """Moves the read cursor; `is_private`: other members do not see it."""

    seq: int
    is_private: bool = False


class SetMembership(NamedTuple):
    """Mutes, pins and archives the conversation for the user, or marks it as unread; None: stays as it is."""

    mute_until_ms: int | None = None
    pinned: bool | None = None
    archived: bool | None = None
    marked_unread: bool | None = None


class SetDraft(NamedTuple):
    """Keeps what the user has written and not sent; a `content` of "": nothing. `device`: on which it has written."""

    content: str
    device: str = ""


class EraseMessages(NamedTuple):
    """Deletes those of these messages that the user has sent; it may be a former member."""

    seqs: tuple[int, ...]


class EraseMember(NamedTuple):
    """Deletes the row of the user, which leaves; `successor` becomes the admin of a channel that has no other one."""

    successor: str = ""


class SetRetention(NamedTuple):
    """Lets messages disappear after some seconds; 0: they stay."""

    seconds: int


class HideBefore(NamedTuple):
    """Lets the items below a number disappear. Their rows are removed from `due_ms` on (milliseconds since 1970).

    `retention_seconds` is the setting for which the number was found. Not of a user, as `RecordPurge`.
    """

    seq: int
    retention_seconds: int
    due_ms: int


class RecordPurge(NamedTuple):
    """The rows of items below a number are removed; with the setting as it was, the next ones disappear at `due_ms`.

    0: there are none.
    """

    seq: int
    retention_seconds: int
    due_ms: int


class Report(NamedTuple):
    """Reports a message. The fields after the first one are no part of what it asks for: a retry may have others.

    `content`, `content_type` and `send_ms`: the message as it is now; `content` "": it is deleted.
    """

    seq: int
    reason: int = 0
    comment: str = ""
    content: str = ""
    content_type: str = ""
    send_ms: int = 0


class ResolveReport(NamedTuple):
    """Records what a moderator has decided about a report of the message `seq`."""

    report_id: str
    seq: int
    status: ReportStatus
    note: str


class RemoveMessage(NamedTuple):
    """Deletes a message, by a moderator."""

    seq: int
    reason: str


class ExcludeMember(NamedTuple):
    """Removes a member, by a moderator."""

    user: str
    reason: str


class CloseConversation(NamedTuple):
    """Closes the conversation, by a moderator."""

    reason: str


Action = (
    CreateDirect
    | CreateGroup
    | Send
    | Edit
    | Delete
    | Update
    | AddMembers
    | RemoveMember
    | Leave
    | Join
    | SetRole
    | Convert
    | MarkDelivered
    | MarkRead
    | SetMembership
    | EraseMessages
    | EraseMember
    | SetRetention
    | HideBefore
    | RecordPurge
    | Report
    | ResolveReport
    | RemoveMessage
    | ExcludeMember
    | CloseConversation
    | PinMessage
    | UnpinMessage
    | SetDraft
)

ACTIONS: Sequence[type[Action]] = (
    CreateDirect,
    CreateGroup,
    Send,
    Edit,
    Delete,
    Update,
    AddMembers,
    RemoveMember,
    Leave,
    Join,
    SetRole,
    Convert,
    MarkDelivered,
    MarkRead,
    SetMembership,
    EraseMessages,
    EraseMember,
    SetRetention,
    HideBefore,
    RecordPurge,
    Report,
    ResolveReport,
    RemoveMessage,
    ExcludeMember,
    CloseConversation,
    PinMessage,
    UnpinMessage,
    SetDraft,
)
"""All actions. The index of each is stored in digests and sent between nodes: new ones come last."""

WITHOUT_OP_ID = (
    CreateDirect,
    MarkDelivered,
    MarkRead,
    SetMembership,
    EraseMessages,
    EraseMember,
    HideBefore,
    RecordPurge,
    SetDraft,
)
"""Actions whose repetition changes nothing: the state alone shows that they were made."""


OF_MODERATORS = (ResolveReport, RemoveMessage, ExcludeMember, CloseConversation)
"""Actions of moderators, who need not be members."""


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
