"""What is delivered to gateway nodes, and the pushes on the topics of conversations."""

from __future__ import annotations

from dataclasses import dataclass

from fanout_svc.conversation_pushes import ItemPush, UnkeptPush
from fanout_svc.domain import NodeInterest, OwnUpdate, Topic, Update


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


Deliverable = Update | OwnUpdate | ItemPush | UnkeptPush | MessageUpdate | NodeInterest
"""What is delivered to gateway nodes."""
