"""Targets and topics of conversations, and what a user may see of a conversation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.message_ids import MESSAGE, is_conversation_id, parse_message_id

CONVERSATIONS = "conversations/"
"""The topic of a conversation is this and its id."""
MESSAGE_TARGETS = f"messages/{MESSAGE}"
"""Targets that begin with this are messages of conversations; all others belong to other systems."""
BLOCK = 128
"""Numbers of a block: which of them are messages is asked for a block at a time."""


class Subject(NamedTuple):
    """What a target or a topic is about. `conversation_id` "": it cannot exist; `seq` 0: the conversation itself."""

    conversation_id: str
    seq: int


class UserAccess(NamedTuple):
    """What a user may see of a conversation, as of its item `last_seq`.

    `spans`: the first and the last number of each range of visible items; a last number of 0: no end.
    """

    is_member: bool
    spans: Sequence[tuple[int, int]]
    last_seq: int

    def may_see(self, seq: int) -> bool:
        """Whether the user may see the item of that number."""
        return any(first <= seq and (not last or seq <= last) for first, last in self.spans)


class Block(NamedTuple):
    """Which numbers of a block are messages that are not deleted, as of the item `last_seq`."""

    message_seqs: frozenset[int]
    last_seq: int


def is_of_conversation(name: str) -> bool:
    """Whether a target or a topic follows the membership of a conversation."""
    return name.startswith((MESSAGE_TARGETS, CONVERSATIONS))


def subject_of(name: str) -> Subject:
    """What such a target or topic is about."""
    if name.startswith(CONVERSATIONS):
        conversation_id = name[len(CONVERSATIONS) :]
        return Subject(conversation_id if is_conversation_id(conversation_id) else "", 0)
    ref = parse_message_id(name.partition("/")[2])
    return Subject("", 0) if ref is None else Subject(ref.conversation_id, ref.seq)


def conversation_topic(target: str) -> str:
    """The topic of the conversation that a message belongs to; "" for every other target."""
    if not target.startswith(MESSAGE_TARGETS):
        return ""
    conversation_id = subject_of(target).conversation_id
    return CONVERSATIONS + conversation_id if conversation_id else ""
