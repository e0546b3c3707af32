"""Operations on messages, as a load makes them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Action = Literal["send", "edit", "delete", "read"]


class MessageOp(NamedTuple):
    """One operation, the same at every attempt. `op_id` of a send is its `client_msg_id`.

    `subject`: the number of the message that is edited or deleted, or up to which all is read; 0: none.
    """

    op_id: str
    conversation: str
    user: str
    action: Action
    content: str = ""
    subject: int = 0


class Talk(NamedTuple):
    """A conversation and its members."""

    conversation: str
    members: tuple[str, ...]
