"""What commands do to conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

from message_svc.domain import Body, Role
from message_svc.moderation_records import ReportStatus


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
    """Deletes a message. `reason`: of an admin, for the audit record; "": none."""

    seq: int
    reason: str = ""


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
    """Removes a member. `reason`: of an admin, for the audit record; "": none."""

    user: str
    reason: str = ""


class Leave(NamedTuple):
    """Makes the user leave."""


class Join(NamedTuple):
    """Makes the user a member of a channel."""


class SetRole(NamedTuple):
    """Changes the role of a member. `reason` as of `RemoveMember`."""

    user: str
    role: Role
    reason: str = ""


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


class EraseReports(NamedTuple):
    """Removes the user and its comments from reports that it has made; it need not be a member any more."""

    report_ids: tuple[str, ...]


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
    | EraseReports
)


ACTIONS: Sequence[type[Action]] = get_args(Action)
"""All actions. The index of each is stored in digests and sent between nodes: new ones come last."""


_ERASING = (EraseMessages, EraseMember, EraseReports)
_OF_RETENTION = (HideBefore, RecordPurge)
WITHOUT_OP_ID = (CreateDirect, MarkDelivered, MarkRead, SetMembership, SetDraft, *_ERASING, *_OF_RETENTION)
"""Actions whose repetition changes nothing: the state alone shows that they were made."""


OF_MODERATORS = (ResolveReport, RemoveMessage, ExcludeMember, CloseConversation)
"""Actions of moderators, who need not be members."""
