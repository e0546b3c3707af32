"""An asynchronous client of Plaudit: messages and reactions over a WebSocket session that reconnects automatically."""

from plaudit_client.client import Client, connect
from plaudit_client.conversations import Change, Conversation, Conversations, Member, Message, Sent, Timeline
from plaudit_client.errors import PlauditError
from plaudit_client.options import Options
from plaudit_client.subscription import Subscription
from plaudit_client.values import Outcome, OwnReactions, OwnUpdate, Reactor, TargetCounts, Update

__all__ = [
    "Change",
    "Client",
    "Conversation",
    "Conversations",
    "Member",
    "Message",
    "Options",
    "Outcome",
    "OwnReactions",
    "OwnUpdate",
    "PlauditError",
    "Reactor",
    "Sent",
    "Subscription",
    "TargetCounts",
    "Timeline",
    "Update",
    "connect",
]
