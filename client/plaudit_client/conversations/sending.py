"""What a user sends: queued at once, and accepted by the server in the order of each conversation."""

from collections.abc import Awaitable, Mapping, Sequence

from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.outbox import OutboxEntry
from plaudit_client.conversations.sender import Sender
from plaudit_client.conversations.values import Message, Sent
from plaudit_client.ids import new_op_id

_MAX_FORWARD_COUNT = 5  # stands for five times and more


class Sending:
    """The queued changes of `Conversations`."""

    _list: ConversationList
    _sender: Sender

    def send(
        self,
        conversation_id: str,
        content: str,
        *,
        content_type: str = "text",
        reply_to: str = "",
        mentions: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> Awaitable[Sent]:
        """Queues a message, at once. Await the result for the server's answer; it raises where the server refuses."""
        return self._sender.send(
            OutboxEntry(
                new_op_id(), "send", self._lane(conversation_id), conversation_id, content=content,
                content_type=content_type, reply_to=reply_to, mentions=tuple(mentions), metadata=dict(metadata or {}),
            )
        )  # fmt: skip

    def send_to(self, user: str, content: str, *, content_type: str = "text") -> Awaitable[Sent]:
        """As `send`, in the direct conversation with a user, which is made where it is missing."""
        if (known := self._list.with_peer(user)) is not None:
            return self.send(known.conversation_id, content, content_type=content_type)
        return self._sender.send(
            OutboxEntry(
                new_op_id(), "send", f"user:{user}", recipient_id=user, content=content, content_type=content_type
            )
        )

    def forward(self, conversation_id: str, message: Message) -> Awaitable[Sent]:
        """Queues the content of a message that the user sees, marked as forwarded, behind what is queued for the
        conversation. Who wrote it and where is not told. NOT_FOUND, reason `MESSAGE_NOT_FOUND`: it was deleted."""
        lane, count = self._lane(conversation_id), min(message.forward_count + 1, _MAX_FORWARD_COUNT)
        return self._sender.send(
            OutboxEntry(
                new_op_id(), "send", lane, conversation_id, content=message.content, content_type=message.content_type,
                forward_of=message.message_id, forward_count=count,
            )
        )  # fmt: skip

    def edit(
        self, conversation_id: str, message_id: str, content: str, *, mentions: Sequence[str] = ()
    ) -> Awaitable[Sent]:
        """Queues an edit, behind what is queued for the conversation."""
        lane = self._lane(conversation_id)
        return self._sender.send(
            OutboxEntry(
                new_op_id(), "edit", lane, conversation_id, target=message_id, content=content, mentions=tuple(mentions)
            )
        )

    def delete(self, conversation_id: str, message_id: str) -> Awaitable[Sent]:
        """Queues a deletion, behind what is queued for the conversation."""
        lane = self._lane(conversation_id)
        return self._sender.send(OutboxEntry(new_op_id(), "delete", lane, conversation_id, target=message_id))

    def _lane(self, conversation_id: str) -> str:
        # As of messages to the user, so that these are sent in order with those to the conversation.
        known = self._list.get(conversation_id)
        return f"user:{known.peer_id}" if known is not None and known.peer_id else conversation_id
