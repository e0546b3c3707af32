"""What is delivered to gateway nodes, and the pushes on the topics of conversations."""

from __future__ import annotations

from dataclasses import dataclass

from fanout_svc.conversation_pushes import UnkeptPush, UserPush
from fanout_svc.domain import NodeInterest, OwnUpdate, Topic, Update


@dataclass(frozen=True, slots=True)
class ConversationPush:
    """A push about an item of a conversation, on the topic of the conversation. `kind` "": nothing is pushed.

    `removed_users` are members no more since the item `version`: their subscriptions end. Where `ends_subscriptions`,
    those of all users do. The rest is as in `UserPush`.
    """

    topic: Topic
    kind: str
    payload: bytes
    order_key: str
    version: int
    removed_users: tuple[str, ...] = ()
    ends_subscriptions: bool = False

    @property
    def is_state(self) -> bool:
        """It is one of several, and cannot be requested again."""
        return False

    @property
    def key(self) -> str:
        """No push replaces another."""
        return f"{self.order_key} {self.version}"


@dataclass(frozen=True, slots=True)
class MessageUpdate:
    """The update of a message, on the topic of its conversation."""

    topic: Topic
    update: Update

    @property
    def is_state(self) -> bool:
        """It is the state of one of several messages: where it is lost, the subscribers have to be notified."""
        return False

    @property
    def version(self) -> int:
        """Grows with every update of the message."""
        return self.update.version

    @property
    def target(self) -> str:
        """The message."""
        return self.update.topic[1]

    @property
    def key(self) -> str:
        """Updates of one message replace each other."""
        return self.target


Deliverable = Update | OwnUpdate | UserPush | UnkeptPush | ConversationPush | MessageUpdate | NodeInterest
"""What is delivered to gateway nodes."""
