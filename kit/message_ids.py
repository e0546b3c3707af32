"""Ids of conversations and messages. Pure.

A conversation is `conv_` and the 26 digits of a UUID in base32hex (RFC 4648, section 7, lower case, no padding). A
message is `msg_`, the digits of its conversation, `_` and its number in base32hex without leading zeros. So the id of a
message names its conversation, and two processes that create the same conversation find the same key.
"""

from __future__ import annotations

import json
import re
from base64 import b32hexencode
from hashlib import sha256
from typing import NamedTuple

CONVERSATION = "conv_"
MESSAGE = "msg_"
# The last digit has only three bits of the UUID.
_DIGITS = r"[0-9a-v]{25}[048cgkos]"
_CONVERSATION_ID = re.compile(rf"{CONVERSATION}{_DIGITS}")
_MESSAGE_ID = re.compile(rf"{MESSAGE}({_DIGITS})_([1-9a-v][0-9a-v]{{0,11}})")
_BASE = "0123456789abcdefghijklmnopqrstuv"


class MessageRef(NamedTuple):
    """What the id of a message names."""

    conversation_id: str
    seq: int


def direct_id(tenant: str, user: str, other: str) -> str:
    """The id of the direct conversation of two users; the same in either order."""
    return _derived("direct", tenant, *sorted((user, other)))


def group_id(tenant: str, creator: str, op_id: str) -> str:
    """The id of the group that this operation of the creator makes."""
    return _derived("group", tenant, creator, op_id)


def is_conversation_id(text: str) -> bool:
    """Whether this can be the id of a conversation."""
    return _CONVERSATION_ID.fullmatch(text) is not None


def message_id(conversation_id: str, seq: int) -> str:
    """The id of a message of a conversation."""
    digits = ""
    while seq:
        seq, digit = divmod(seq, 32)
        digits = _BASE[digit] + digits
    return f"{MESSAGE}{conversation_id[len(CONVERSATION) :]}_{digits}"


def parse_message_id(text: str) -> MessageRef | None:
    """What the id of a message names; None: it is none."""
    found = _MESSAGE_ID.fullmatch(text)
    return None if found is None else MessageRef(CONVERSATION + found[1], int(found[2], 32))


def _derived(*parts: str) -> str:
    # JSON, so that two lists never have the same encoding. Version 8 is for UUIDs of one's own making (RFC 9562).
    digest = bytearray(sha256(json.dumps(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return CONVERSATION + b32hexencode(bytes(digest)).decode().rstrip("=").lower()
