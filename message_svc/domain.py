"""Conversations, members, numbered items, and the changes of a conversation by an entry of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from message_svc.moderation_records import AuditRecord, Report, ReportErasure, ReportResolution

# Named tuples: these are made for every command, and a frozen dataclass takes four times as long to make.

MAX_MEMBERS = 500
"""Members of a group; channels have no limit."""
MAX_DEVICES = 16
"""Devices of a member whose cursors are stored: those that were heard of last."""
MAX_SPANS = 16
"""Ranges of items that a user may see; beyond, the oldest is dropped."""
MAX_SENDERS = 32
"""Users who hear of a receipt in a group: those who sent a message last."""
MAX_PINNED = 50
"""Pinned messages of a conversation."""
MAX_FORWARDS = 5
"""Messages that were forwarded so often, or more often, are not distinguished."""
MAX_PENDING_ITEMS = 1_000
"""The last items of a conversation whose messages are pushed to a device that lacks them."""
SENDERS_AMONG = 128
"""The last items of a conversation among which its senders are looked for."""


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
    PINNED = 11
    UNPINNED = 12
    RETENTION_CHANGED = 13
    CLOSED = 14


class DeletedBy(IntEnum):
    """Who has deleted a message. The numbers are stored."""

    NOBODY = 0
    SENDER = 1
    ADMIN = 2
    MODERATOR = 3


class Body(NamedTuple):
    """What a message says. `reply_to`: the number of the message it replies to; 0: none.

    `forwards`: how often its content was forwarded, up to `MAX_FORWARDS`; 0: it is the sender's own.
    """

    content: str
    content_type: str = "text"
    reply_to: int = 0
    mentions: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    forwards: int = 0


class Item(NamedTuple):
    """One numbered item.

    `ordinal`: the number of messages up to it; `subject`: the number of the message that was edited or deleted;
    `body`: of a message, and of an edit the body after it; `deleted_by`: of a deletion; `users`, `role`, `name`,
    `avatar_url` and `retention_seconds`: of changes of members and of the conversation. Times are milliseconds since
    1970.
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
    deleted_by: DeletedBy = DeletedBy.NOBODY
    retention_seconds: int = 0


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
    """A member of a conversation, or a former one, whose role is NONE. A row without `spans` is deleted.

    Cursors are numbers of items: the user has received, or read, everything up to them. `read_ordinal`: the number of
    messages up to `read_seq`; `shown_read_seq`: what other members see of it; `devices`: the cursor of each device,
    the latest one last.

    `archived_seq`: the last item when the user archived the conversation, see `is_archived`; 0: it is not archived;
    `draft_ms`: when the user last set its draft; 0: there is none.
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
    archived_seq: int = 0
    marked_unread: bool = False
    draft_ms: int = 0


class Pin(NamedTuple):
    """A pinned message: the number of the message, and of the item that pinned it."""

    seq: int
    pin_seq: int


class Head(NamedTuple):
    """A conversation as a whole. `stamp`: of its last entry.

    Items below `visible_from` have disappeared; `hidden_ordinal`: the number of messages up to the last one of them;
    `purged_before`: the rows of items below it are removed. Messages disappear after `retention_seconds` (0: never);
    `retention_due_ms` is when something is to be done about it (0: never, as it is now).

    `epoch` counts accepted conditional messages, the last of which is `epoch_seq`. `highest` and `ahead` are the
    `kit.ledger.op_ids.OpIdWatermark` of the operation ids used on it. `pinned`: the pinned messages, the latest pin
    last; `close_ms`: when a moderator closed it, 0: never.
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
    retention_seconds: int = 0
    hidden_ordinal: int = 0
    purged_before: int = 0
    retention_due_ms: int = 0
    home_region: str = ""
    stamp: int = 0
    highest: str = ""
    ahead: tuple[str, ...] = ()
    pinned: tuple[Pin, ...] = ()
    close_ms: int = 0


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
    """A cursor that moved for other members to see; 0: it did not move.

    `receivers`: the members whose messages it passed. There may be some more; of very many some are left out.
    """

    user: str
    delivered_seq: int
    read_seq: int
    time_ms: int
    receivers: tuple[str, ...] = ()


class UserDraft(NamedTuple):
    """What a member has written and not sent; a `content` of "": nothing. `device`: on which it has written."""

    user: str
    content: str
    time_ms: int
    device: str = ""


class ConversationChange(NamedTuple):
    """The change of one conversation by one entry: the items in order, and the rows that changed, as they are after.

    `own_changes`: the users whose other devices are told of their row. Of a user there is one draft.
    `hidden_before`: items below it disappear with the entry; 0: none do.
    """

    key: TargetKey
    head: Head
    items: Sequence[Item]
    members: Mapping[str, Member]
    operations: Sequence[Operation]
    receipts: Sequence[ReceiptMove] = ()
    own_changes: Sequence[str] = ()
    drafts: Sequence[UserDraft] = ()
    hidden_before: int = 0
    reports: Sequence[Report] = ()
    resolutions: Sequence[ReportResolution] = ()
    audits: Sequence[AuditRecord] = ()
    erased_reports: Sequence[ReportErasure] = ()
