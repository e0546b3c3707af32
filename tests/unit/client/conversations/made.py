"""Values for tests of conversations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plaudit_client.conversations.values import SENT, Change, Conversation, Message


def message(seq: int, **fields: Any) -> Message:
    made = Message(f"m{seq}", "c1", "bob", f"text {seq}", message_seq=seq, ordinal=seq, client_msg_id=f"of-{seq}")
    return replace(made, **fields)


def sent(seq: int, **fields: Any) -> Change:
    made = message(seq, **fields)
    return Change("c1", seq, SENT, made.sender_id, 1_700_000_000_000 + seq, made)


def changed(seq: int, kind: str, of: int, **fields: Any) -> Change:
    """A pushed edit or deletion, which has only what it has changed."""
    return Change(
        "c1", seq, f"CHANGE_TYPE_MESSAGE_{kind}", "bob", message=Message(f"m{of}", "c1", message_seq=of, **fields)
    )


def conversation(conversation_id: str = "c1", **fields: Any) -> Conversation:
    made = Conversation(conversation_id, last_message_seq=10, read_seq=10, role="ROLE_MEMBER")
    return replace(made, update_time="2026-01-01T00:00:00Z", **fields)
