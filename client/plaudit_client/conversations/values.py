"""Conversations, messages and changes, read from the fields of JSON frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from plaudit_client.values import Fields, OtherPush, answer_reader

SENT = "CHANGE_TYPE_MESSAGE_SENT"
EDITED = "CHANGE_TYPE_MESSAGE_EDITED"
DELETED = "CHANGE_TYPE_MESSAGE_DELETED"
CLOSED = "CHANGE_TYPE_CONVERSATION_CLOSED"
CHANNEL = "CONVERSATION_TYPE_CHANNEL"
OF_MESSAGES = (SENT, EDITED, DELETED)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is now. `timestamp`: milliseconds since 1970; the other times in ISO, empty: never.

    `forward_count`: how often its content was forwarded; 5: five times or more; 0: the sender wrote it.
    """

    message_id: str
    conversation_id: str
    sender_id: str = ""
    content: str = ""
    content_type: str = ""
    timestamp: int = 0
    message_seq: int = 0
    ordinal: int = 0
    client_msg_id: str = ""
    reply_to: str = ""
    mentions: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    edit_time: str = ""
    delete_time: str = ""
    deleted_by: str = "DELETED_BY_UNSPECIFIED"
    forward_count: int = 0

    def after(self, change: "Message") -> "Message":
        """This message after an edit or deletion, of which a push has only what it has changed."""
        return replace(
            self,
            content=change.content,
            mentions=change.mentions,
            metadata=change.metadata,
            edit_time=change.edit_time or self.edit_time,
            delete_time=change.delete_time or self.delete_time,
            deleted_by=change.deleted_by if change.delete_time else self.deleted_by,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A numbered change of a conversation: see `Change` of the contracts."""

    conversation_id: str
    message_seq: int
    type: str
    actor_id: str = ""
    timestamp: int = 0
    message: Message | None = None
    user_ids: tuple[str, ...] = ()
    role: str = ""
    name: str = ""
    avatar_url: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as the user sees it. `role`: `ROLE_UNSPECIFIED` for a former member.

    `marked_unread`: the user shows it as unread, whatever is; `draft`: what is written and not sent.
    """

    conversation_id: str
    type: str = ""
    name: str = ""
    last_message_seq: int = 0
    member_count: int = 0
    members_epoch: int = 0
    peer_id: str = ""
    unread_count: int = 0
    last_message: Message | None = None
    update_time: str = ""
    role: str = "ROLE_UNSPECIFIED"
    read_seq: int = 0
    mute_until_ms: int = 0
    pinned: bool = False
    archived: bool = False
    marked_unread: bool = False
    draft: str = ""
    retention_seconds: int = 0
    visible_from_seq: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a conversation. `role`: `ROLE_MEMBER` or `ROLE_ADMIN`; `joined_seq`: the change that added it."""

    user_id: str
    role: str
    joined_seq: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has accepted a message or a change of one; `message_id` is empty for a change."""

    conversation_id: str
    message_id: str
    message_seq: int
    timestamp: int


def message(fields: Fields) -> Message:
    """A message; of a partial one the other fields are empty."""
    return Message(
        message_id=str(fields["message_id"]),
        conversation_id=str(fields.get("conversation_id") or ""),
        sender_id=str(fields.get("sender_id") or ""),
        content=str(fields.get("content") or ""),
        content_type=str(fields.get("content_type") or ""),
        timestamp=int(fields.get("timestamp") or 0),
        message_seq=int(fields.get("message_seq") or 0),
        ordinal=int(fields.get("ordinal") or 0),
        client_msg_id=str(fields.get("client_msg_id") or ""),
        reply_to=str(fields.get("reply_to") or ""),
        mentions=tuple(map(str, fields.get("mentions") or ())),
        metadata=MappingProxyType(dict(fields.get("metadata") or {})),
        edit_time=str(fields.get("edit_time") or ""),
        delete_time=str(fields.get("delete_time") or ""),
        deleted_by=str(fields.get("deleted_by") or "DELETED_BY_UNSPECIFIED"),
        forward_count=int(fields.get("forward_count") or 0),
    )


def sent_change(sent: Message) -> Change:
    """The change that a message is."""
    return Change(sent.conversation_id, sent.message_seq, SENT, sent.sender_id, sent.timestamp, sent)


def change(conversation_id: str, fields: Fields) -> Change:
    """A change of the conversation."""
    return Change(
        conversation_id=conversation_id,
        message_seq=int(fields["message_seq"]),
        type=str(fields.get("type") or ""),
        actor_id=str(fields.get("actor_id") or ""),
        timestamp=int(fields.get("timestamp") or 0),
        message=message(fields["message"]) if fields.get("message") else None,
        user_ids=tuple(map(str, fields.get("user_ids") or ())),
        role=str(fields.get("role") or ""),
        name=str(fields.get("name") or ""),
        avatar_url=str(fields.get("avatar_url") or ""),
    )


def pushed_change(push: OtherPush) -> Change | None:
    """The change of a pushed message, edit, deletion or change of members; None for other pushes."""
    if push.type == "new_message":
        return sent_change(message(push.fields))
    if push.type in ("message_changed", "member_changed"):
        return change(str(push.fields["conversation_id"]), push.fields["change"])
    return None


def conversation(fields: Fields) -> Conversation:
    """A conversation of an answer."""
    membership: Mapping[str, Any] = fields.get("membership") or {}
    return Conversation(
        conversation_id=str(fields["conversation_id"]),
        type=str(fields.get("type") or ""),
        name=str(fields.get("name") or ""),
        last_message_seq=int(fields.get("last_message_seq") or 0),
        member_count=int(fields.get("member_count") or 0),
        members_epoch=int(fields.get("members_epoch") or 0),
        peer_id=str(fields.get("peer_id") or ""),
        unread_count=int(fields.get("unread_count") or 0),
        last_message=message(fields["last_message"]) if fields.get("last_message") else None,
        update_time=str(fields.get("update_time") or ""),
        role=str(membership.get("role") or "ROLE_UNSPECIFIED"),
        read_seq=int(membership.get("read_seq") or 0),
        mute_until_ms=int(membership.get("mute_until_ms") or 0),
        pinned=bool(membership.get("pinned") or False),
        archived=bool(membership.get("archived") or False),
        marked_unread=bool(membership.get("marked_unread") or False),
        draft=str(fields.get("draft") or ""),
        retention_seconds=int(fields.get("retention_seconds") or 0),
        visible_from_seq=int(fields.get("visible_from_seq") or 0),
    )


@answer_reader
def conversations(fields: Fields) -> list[Conversation]:
    """The answer to `list_conversations`: a page."""
    return [conversation(each) for each in fields.get("conversations") or ()]


@answer_reader
def one_conversation(fields: Fields) -> Conversation:
    """The answer to `get_conversation`, `create_conversation` or `create_group`."""
    return conversation(fields["conversation"])


@answer_reader
def members(fields: Fields) -> list[Member]:
    """The answer to `list_members`: a page."""
    return [
        Member(str(each["user_id"]), str(each.get("role") or "ROLE_MEMBER"), int(each.get("joined_seq") or 0))
        for each in fields.get("members") or ()
    ]


@answer_reader
def messages(fields: Fields) -> tuple[list[Message], str]:
    """The answer to `list_messages`: a page, oldest first, and the token of the one before it."""
    return [message(each) for each in fields.get("messages") or ()], str(fields.get("older_page_token") or "")


@answer_reader
def pinned_messages(fields: Fields) -> list[Message]:
    """The answer to `list_pinned_messages`."""
    return [message(each["message"]) for each in fields.get("pinned_messages") or ()]


@answer_reader
def changes(conversation_id: str, fields: Fields) -> tuple[Sequence[Change], int]:
    """The answer to `list_changes`: changes in order, and the number of the last one there is."""
    found = [change(conversation_id, each) for each in fields.get("changes") or ()]
    return found, int(fields.get("last_message_seq") or 0)


@answer_reader
def sent(conversation_id: str, fields: Fields) -> Sent:
    """The answer to `send_message`, `edit_message` or `delete_message`."""
    return Sent(
        conversation_id=conversation_id or str(fields["conversation_id"]),
        message_id=str(fields.get("message_id") or ""),
        message_seq=int(fields.get("message_seq") or 0),
        timestamp=int(fields.get("timestamp") or 0),
    )
