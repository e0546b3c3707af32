"""Conversations, members, numbered items, and the commands that change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from kit.tenant_keys import TargetKey

# Named tuples: these are made for every command, and a frozen dataclass takes four times as long to make.

MAX_MEMBERS = 500
"""Members of a group; channels have no limit."""
MAX_DEVICES = 16
"""Devices of a member whose cursors are stored: those that were heard of last."""
MAX_SPANS = 16
"""Ranges of items that a user may see; beyond, the oldest is dropped."""


class Kind(IntEnum):
    """The kind of a conversation. The numbers are stored."""

    DIRECT = 1
    GROUP = 2
    CHANNEL = 3


class Role(IntEnum):
    """What a member may do. The numbers are stored."""

    NONE = 0
    MEMBER = 1
    ADMIN = 2


class ItemType(IntEnum):
    """What a numbered item of a conversation is. The numbers are stored, and are those of `ChangeType`."""

    CREATED = 1
    MESSAGE = 2
    EDIT = 3
    DELETE = 4
    MEMBERS_ADDED = 5
    MEMBER_REMOVED = 6
    MEMBER_LEFT = 7
    ROLE_CHANGED = 8
    UPDATED = 9
    CONVERTED = 10


class Body(NamedTuple):
    """What a message says. `reply_to`: the number of the message it replies to; 0: none."""

    content: str
    content_type: str = "text"
    reply_to: int = 0
    mentions: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


class Item(NamedTuple):
    """One numbered item.

    `ordinal`: the number of messages up to it; `subject`: the number of the message that was edited or deleted;
    `body`: of a message, and of an edit the body after it; `users`, `role`, `name` and `avatar_url`: of changes of
    members and of the conversation. Times are milliseconds since 1970.
    """

    seq: int
    type: ItemType
    actor: str
    time_ms: int
    ordinal: int
    subject: int = 0
    body: Body | None = None
    client_msg_id: str = ""
    users: tuple[str, ...] = ()
    role: Role = Role.NONE
    name: str = ""
    avatar_url: str = ""
    origin_region: str = ""


class ItemFacts(NamedTuple):
    """What decisions need to know of an item."""

    type: ItemType
    actor: str
    ordinal: int
    is_deleted: bool = False


class Span(NamedTuple):
    """A range of items that a user may see; a `last` of 0: no end."""

    first: int
    last: int = 0


class Member(NamedTuple):
    """A member of a conversation, or a former one, whose role is NONE.

    Cursors are numbers of items: the user has received, or read, everything up to them. `read_ordinal`: the number of
    messages up to `read_seq`; `shown_read_seq`: what other members see of it; `devices`: the cursor of each device,
    the latest one last.
    """

    user: str
    role: Role
    joined_seq: int
    spans: tuple[Span, ...]
    read_seq: int = 0
    read_ordinal: int = 0
    shown_read_seq: int = 0
    delivered_seq: int = 0
    devices: tuple[tuple[str, int], ...] = ()
    mute_until_ms: int = 0
    pinned: bool = False


class Head(NamedTuple):
    """A conversation as a whole. `stamp`: of its last entry.

    `epoch` counts accepted conditional messages, the last of which is `epoch_seq`. `highest` and `ahead` are the
    `kit.ledger.op_ids.OpIdWatermark` of the operation ids used on it.
    """

    kind: Kind
    name: str
    avatar_url: str
    creator: str
    create_ms: int
    update_ms: int
    last_seq: int
    ordinal: int = 0
    last_message_seq: int = 0
    members: int = 0
    admins: int = 0
    members_epoch: int = 0
    epoch: int = 0
    epoch_seq: int = 0
    visible_from: int = 0
    home_region: str = ""
    stamp: int = 0
    highest: str = ""
    ahead: tuple[str, ...] = ()


class Operation(NamedTuple):
    """An operation that was answered, with its answer. `seq`: of its item; 0: it changed nothing.

    `reason`: the value of the `Reason` for which it was refused; "": it was not. Where that is EPOCH_CHANGED, `ordinal`
    and `seq` are the epoch and its item.
    """

    user: str
    op_id: str
    digest: bytes
    seq: int
    time_ms: int
    ordinal: int
    reason: str = ""


class ReceiptMove(NamedTuple):
    """A cursor that moved for other members to see; 0: it did not move."""

    user: str
    delivered_seq: int
    read_seq: int
    time_ms: int


class CreateDirect(NamedTuple):
    """Creates the direct conversation with another user, where it is missing."""

    other: str


class CreateGroup(NamedTuple):
    """Creates a group; `others`: its members without the creator."""

    name: str
    avatar_url: str
    others: tuple[str, ...]


class Send(NamedTuple):
    """Sends a message; `expect_epoch` -1: unconditional."""

    body: Body
    expect_epoch: int = -1


class Edit(NamedTuple):
    """Replaces the content, the mentions and the metadata of a message."""

    seq: int
    content: str
    mentions: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


class Delete(NamedTuple):
    """Deletes a message."""

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
    """Mutes and pins the conversation for the user; None: stays as it is."""

    mute_until_ms: int | None
    pinned: bool | None


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
)
"""All actions. The index of each is stored in digests and sent between nodes: new ones come last."""

WITHOUT_OP_ID = (CreateDirect, MarkDelivered, MarkRead, SetMembership)
"""Actions whose repetition changes nothing: the state alone shows that they were made."""


class Command(NamedTuple):
    """An action of a user on a conversation. `op_id` identifies it across retries, among those of the user."""

    tenant: str
    conversation_id: str
    user: str
    op_id: str
    action: Action

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


class Reason(Enum):
    """Why a command was not applied."""

    # There is no such conversation, or the user is no member.
    NOT_FOUND = "not_found"
    # There is no such message, or it is no message.
    NO_MESSAGE = "no_message"
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
    # `expect_epoch` is not the epoch of the conversation.
    EPOCH_CHANGED = "epoch_changed"
    # The user to whom it applies is no member.
    NO_MEMBER = "no_member"


class Refusal(NamedTuple):
    """A command that was not applied. `epoch` and `epoch_seq`: of the conversation, where that is the reason."""

    reason: Reason
    epoch: int = 0
    epoch_seq: int = 0


class ConversationChange(NamedTuple):
    """The change of one conversation by one entry: the items in order, and the rows that changed, as they are after."""

    key: TargetKey
    head: Head
    items: Sequence[Item]
    members: Mapping[str, Member]
    operations: Sequence[Operation]
    receipts: Sequence[ReceiptMove] = ()


def visible_spans(head: Head, member: Member) -> list[Span]:
    """The ranges of items that the user may see, oldest first, each with an end."""
    spans = (Span(max(first, head.visible_from, 1), last or head.last_seq) for first, last in member.spans)
    return [span for span in spans if span.first <= span.last]
