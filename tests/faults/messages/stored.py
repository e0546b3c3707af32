"""What is stored at the end of a trial with messages: the changes of each conversation, and unread numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc

from plaudit.message.v1 import change_pb2, message_service_pb2_grpc
from plaudit.message.v1 import conversation_service_pb2 as conversations_pb
from plaudit.message.v1 import conversation_service_pb2_grpc as conversations_grpc
from plaudit.message.v1 import message_service_pb2 as pb
from tests.faults.messages.operations import Talk

_SECONDS = 8.0
_PAGE = 200
_TYPES = {
    change_pb2.CHANGE_TYPE_MESSAGE_SENT: "send",
    change_pb2.CHANGE_TYPE_MESSAGE_EDITED: "edit",
    change_pb2.CHANGE_TYPE_MESSAGE_DELETED: "delete",
}


class StoredChange(NamedTuple):
    """A numbered change. `type`: send, edit, delete, or "" for any other; the message is as it is now."""

    number: int
    type: str
    user: str
    message_id: str = ""
    client_msg_id: str = ""
    content: str = ""
    is_deleted: bool = False


class ReadState(NamedTuple):
    """What a user has read of a conversation, and the number of unread messages."""

    read: int
    unread: int


class Notified(NamedTuple):
    """A notification of a member."""

    key: str
    message_id: str
    user: str


@dataclass(slots=True)
class StoredMessages:
    """The state at the end."""

    changes: dict[str, list[StoredChange]] = field(default_factory=dict)
    """By conversation, from its first change."""
    differing: list[str] = field(default_factory=list)
    """Conversations of which two nodes have different changes."""
    reads: dict[tuple[str, str], ReadState] = field(default_factory=dict)
    """By user and conversation."""
    behind: dict[str, dict[str, int]] = field(default_factory=dict)
    """By device that lacks changes: up to which number it has those of a conversation."""

    absent: dict[str, Sequence[str]] = field(default_factory=dict)
    """By conversation, members who never connect."""
    notified: list[Notified] = field(default_factory=list)

    def not_notified(self) -> list[tuple[str, str]]:
        """The absent members without a notification of the last message of a conversation, and the message."""
        found = {(one.message_id, one.user) for one in self.notified}
        missing: list[tuple[str, str]] = []
        for name, users in self.absent.items():
            last = next((one for one in reversed(self.changes[name]) if one.type == "send"), None)
            # One that was deleted may not have been told of before.
            if last is not None and not last.is_deleted:
                missing += [(last.message_id, user) for user in users if (last.message_id, user) not in found]
        return missing

    @property
    def heads(self) -> dict[str, int]:
        """The last number of each conversation."""
        return {name: changes[-1].number for name, changes in self.changes.items() if changes}


class StoredReader:
    """Reads through gRPC stubs of nodes of message_svc."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], token: str, talks: Sequence[Talk]) -> None:
        self._messages: list[Any] = [message_service_pb2_grpc.MessageServiceStub(one) for one in channels.values()]
        self._lists: Any = conversations_grpc.ConversationServiceStub(next(iter(channels.values())))
        self._token = token
        self._talks = talks

    async def read(self, users: Sequence[str]) -> StoredMessages:
        """Reads all; raises grpc.aio.AioRpcError if a node does not answer."""
        found = StoredMessages()
        for talk in self._talks:
            first, *others = [await self._changes(stub, talk) for stub in self._messages]
            found.changes[talk.conversation] = first
            found.differing += [talk.conversation for other in others if other != first]
        for user in users:
            async for one in self._conversations(user):
                found.reads[user, one.conversation_id] = ReadState(one.membership.read_seq, one.unread_count)
        return found

    async def _changes(self, stub: Any, talk: Talk) -> list[StoredChange]:
        found: list[StoredChange] = []
        metadata = self._metadata(talk.members[0])
        while True:
            after = found[-1].number if found else 0
            request = pb.ListChangesRequest(conversation_id=talk.conversation, after_seq=after, page_size=_PAGE)
            page = await stub.ListChanges(request, metadata=metadata, timeout=_SECONDS)
            found += map(_stored, page.changes)
            if not page.changes or found[-1].number >= page.last_message_seq:
                return found

    async def _conversations(self, user: str) -> Any:
        token = ""
        while True:
            request = conversations_pb.ListConversationsRequest(page_size=100, page_token=token)
            page = await self._lists.ListConversations(request, metadata=self._metadata(user), timeout=_SECONDS)
            for one in page.conversations:
                yield one
            token = page.next_page_token
            if not token:
                return

    def _metadata(self, user: str) -> tuple[tuple[str, str], ...]:
        return ("authorization", f"Bearer {self._token}"), ("plaudit-user", user)


def _stored(change: change_pb2.Change) -> StoredChange:
    kind, message = _TYPES.get(change.type, ""), change.message
    if not kind:
        return StoredChange(change.message_seq, "", change.actor_id)
    return StoredChange(
        change.message_seq,
        kind,
        change.actor_id,
        message.message_id,
        message.client_msg_id,
        message.content,
        message.HasField("delete_time"),
    )
