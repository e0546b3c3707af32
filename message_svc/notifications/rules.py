"""Which members are notified of a message, and what the notification says. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple

from kit.message_ids import message_id
from kit.tenant_keys import TargetKey
from message_svc.domain import Body, Head, Item, Kind, Member, Role

SNIPPET_CHARACTERS = 200
_TEXTS = frozenset({"text", "markdown"})
_ZERO_WIDTH_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)


class Decision(Enum):
    """What happens for a member. The values are labels of a metric, and the first two are in the contract."""

    # Notified: the member is not connected.
    NO_SESSION = "no_session"
    # Notified: no device of the member has acknowledged the message in time.
    NOT_ACKED = "not_acked"
    # Decided again when the time for the acknowledgement is over.
    WAIT = "wait"
    # Not notified.
    NO_MEMBER = "no_member"
    READ = "read"
    DELIVERED = "delivered"
    DELETED = "deleted"
    # The message has disappeared: the time for which the conversation keeps messages is over.
    EXPIRED = "expired"
    MUTED = "muted"
    # In a channel, only those are notified whom the message mentions.
    NOT_MENTIONED = "not_mentioned"
    # A later message of the conversation is considered instead.
    MERGED = "merged"


NOTIFIED = (Decision.NO_SESSION, Decision.NOT_ACKED)


class Message(NamedTuple):
    """A message of a conversation; its item has a body. `name`: of the conversation; `expire_ms`: when the message
    disappears, milliseconds since 1970; 0: never."""

    key: TargetKey
    kind: Kind
    name: str
    item: Item
    expire_ms: int = 0

    def mentions(self, user: str) -> bool:
        """Whether it mentions the user."""
        return self.item.body is not None and user in self.item.body.mentions


class Notification(NamedTuple):
    """A member who is notified of a message, and why."""

    message: Message
    recipient: str
    reason: Decision
    unread: int

    @property
    def idempotency_key(self) -> str:
        """Identifies the message and the recipient."""
        return f"{message_id(self.message.key[1], self.message.item.seq)}/{self.recipient}"


def message_of(key: TargetKey, head: Head, item: Item) -> Message:
    """The message that an item is."""
    expire_ms = item.time_ms + head.retention_seconds * 1_000 if head.retention_seconds else 0
    return Message(key, head.kind, head.name, item, expire_ms)


class MessagesByMember:
    """Of messages of one conversation, those that are considered for each member.

    They are the last one of others, and each one that mentions the member. A notification has the number of unread
    messages, so it stands for earlier ones, too.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        """`messages`: in their order, at least one."""
        self._last = messages[-1]
        others = (each for each in reversed(messages) if each.item.actor != self._last.item.actor)
        self._last_of_others = next(others, None)
        self._mentions: dict[str, list[Message]] = {}
        for each in messages:
            for user in each.item.body.mentions if each.item.body is not None else ():
                self._mentions.setdefault(user, []).append(each)

    @property
    def mentioned(self) -> Collection[str]:
        """The users whom a message mentions."""
        return self._mentions.keys()

    def of(self, user: str) -> list[Message]:
        """The messages that are considered for a member, in their order."""
        last = self._last if self._last.item.actor != user else self._last_of_others
        mentions = [each for each in self._mentions.get(user, ()) if each.item.actor != user]
        return mentions if last is None or last in mentions else [*mentions, last]


def decide(message: Message, member: Member, now_ms: int, *, is_connected: bool, has_waited: bool) -> Decision:
    """What happens for a member other than the sender, as of `now_ms` (milliseconds since 1970).

    `is_connected`: the member has a session, or this is unknown; `has_waited`: the time for an acknowledgement is over.
    Without mute and mentions, a member is notified where the cursors are below the message. A channel has no cursor of
    what was delivered, so a connected member is notified who has not read the message in time.
    """
    seq, is_mentioned = message.item.seq, message.mentions(member.user)
    if member.role is Role.NONE or member.joined_seq > seq:
        return Decision.NO_MEMBER
    if 0 < message.expire_ms <= now_ms:
        return Decision.EXPIRED
    if member.read_seq >= seq:
        return Decision.READ
    if member.delivered_seq >= seq:
        return Decision.DELIVERED
    if message.kind is Kind.CHANNEL and not is_mentioned:
        return Decision.NOT_MENTIONED
    if member.mute_until_ms > now_ms and not is_mentioned:
        return Decision.MUTED
    if has_waited:
        return Decision.NOT_ACKED
    return Decision.WAIT if is_connected else Decision.NO_SESSION


def notification(message: Message, member: Member, reason: Decision) -> Notification:
    """The notification of a member."""
    return Notification(message, member.user, reason, max(message.item.ordinal - member.read_ordinal, 1))


def snippet_of(body: Body | None) -> str:
    """The beginning of a text; "" for other content, which may be encrypted.

    It is not cut within a combined character, as far as the categories of Unicode show: before a combining mark, a
    variation selector, a skin tone, at a zero width joiner, or between the two letters of a flag.
    """
    if body is None or body.content_type not in _TEXTS:
        return ""
    text = body.content
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    end = SNIPPET_CHARACTERS
    while end > 0 and _is_joined(text, end):
        end -= 1
    # A text of marks alone has no better place.
    return text[: end or SNIPPET_CHARACTERS]


def _is_joined(text: str, index: int) -> bool:
    """Whether the characters before and at `index` are one for a reader."""
    before, after = text[index - 1], text[index]
    if unicodedata.category(after).startswith("M") or ord(after) in _SKIN_TONES:
        return True
    if _ZERO_WIDTH_JOINER in (before, after):
        return True
    flag_letters = 0
    while flag_letters < index and ord(text[index - 1 - flag_letters]) in _REGIONAL_INDICATORS:
        flag_letters += 1
    return flag_letters % 2 == 1 and ord(after) in _REGIONAL_INDICATORS
