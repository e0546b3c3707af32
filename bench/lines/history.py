"""M4, M5: reading long histories, and what messages take on the disk."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.conversations import Conversations, members_connected, send
from bench.report import Goal, Line
from bench.setup import Setup
from bench.system import System, plaudit
from bench.waits import p99_ms
from plaudit.message.v1 import conversation_service_pb2 as conversations_pb
from plaudit.message.v1 import conversation_service_pb2_grpc, message_service_pb2_grpc
from plaudit.message.v1 import message_service_pb2 as messages_pb

_CONVERSATIONS = 1_000
_SENDERS = 50
# The members of each conversation: the first user, and others in turn.
_MEMBERS = 10
_BATCH_SECONDS = 5.0
_IN_FLIGHT = 4


def stored(setup: Setup) -> list[Line]:
    """M4, M5: a page of the history and of the list, at any depth, and bytes for each message."""
    messages = int(setup.pick(50_000, 1_000_000, 1_000_000))
    with plaudit() as system:
        conversations = Conversations(system)
        for number in range(_CONVERSATIONS):
            members = _members(number)
            index = conversations.group(members)
            for user in members:
                conversations.sends.setdefault(user, []).append(index)
        empty, sent = _file_bytes(system), 0
        with members_connected(conversations, _SENDERS, "senders", receive=False) as driver:
            while sent < messages:
                sent += send(driver, _BATCH_SECONDS, 0, _IN_FLIGHT)["acks"]
        size = (_file_bytes(system) - empty) / sent
        reads = _Reads(system, conversations.ids, sent // _CONVERSATIONS)
        newest, middle, oldest = (reads.p99(partial_depth) for partial_depth in (1.0, 0.5, 0.0))
        listed = reads.p99_of_list()
    what = f"page of 50 messages, p99 at {sent:,} messages in {_CONVERSATIONS:,} conversations"
    depths = f"newest {newest:.1f}, middle {middle:.1f}, oldest {oldest:.1f} ms"
    return [
        Line("M4", what, "ms", [max(newest, middle, oldest)], goal=Goal(50, 20, at_most=True), notes=[depths]),
        Line("M4", f"page of 20 of {_CONVERSATIONS:,} conversations, p99", "ms", [listed],
             goal=Goal(50, 20, at_most=True)),
        Line("M5", "SQLite, a message of 200 bytes with its entry of the ledger", "bytes", [size],
             goal=Goal(800, 400, at_most=True)),
    ]  # fmt: skip


def _members(number: int) -> list[int]:
    others = _SENDERS - 1
    return [0, *(1 + (number * (_MEMBERS - 1) + offset) % others for offset in range(_MEMBERS - 1))]


class _Reads:
    """Calls of a member, at a pace that the server keeps."""

    def __init__(self, system: System, ids: Sequence[str], depth: int) -> None:
        self._messages: Any = message_service_pb2_grpc.MessageServiceStub(system.channel)
        self._conversations: Any = conversation_service_pb2_grpc.ConversationServiceStub(system.channel)
        self._metadata = [("authorization", f"Bearer {system.service_token}"), ("plaudit-user", "u0")]
        self._ids = ids
        self._depth = depth
        self._random = random.Random(1)

    def p99(self, depth: float) -> float:
        """Milliseconds of a page before a message at that depth: 0 the oldest, 1 the newest."""
        anchors = [(one, self._anchor(one, depth)) for one in self._random.sample(self._ids, 50)]

        def read() -> None:
            conversation, before = self._random.choice(anchors)
            request = messages_pb.ListMessagesRequest(conversation_id=conversation, before=before, page_size=50)
            self._messages.ListMessages(request, metadata=self._metadata, timeout=10)

        return p99_ms(read)

    def p99_of_list(self) -> float:
        """Milliseconds of the first page of conversations."""
        request = conversations_pb.ListConversationsRequest(page_size=20)
        return p99_ms(lambda: self._conversations.ListConversations(request, metadata=self._metadata, timeout=10))

    def _anchor(self, conversation: str, depth: float) -> str:
        if depth >= 1.0:
            return ""
        # The first number is that of the creation.
        after = max(50, round(self._depth * depth))
        changes = messages_pb.ListChangesRequest(conversation_id=conversation, after_seq=after, page_size=1)
        found = self._messages.ListChanges(changes, metadata=self._metadata, timeout=10).changes
        return str(found[0].message.message_id)


def _file_bytes(system: System) -> int:
    """The file of conversations, with what is not written back to it yet."""
    return sum(path.stat().st_size for path in Path(system.data).glob("messages.db*") if not path.name.endswith("-shm"))
