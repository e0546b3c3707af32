"""The conversations of a user: messages in order, each once, and an outbox that survives lost connections."""

from plaudit_client.conversations.conversations import Conversations
from plaudit_client.conversations.timeline import Timeline
from plaudit_client.conversations.values import Change, Conversation, Member, Message, Sent

__all__ = ["Change", "Conversation", "Conversations", "Member", "Message", "Sent", "Timeline"]
