"""Conversations of a load: created over gRPC, and described to the WebSocket driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bench.driver import connected
from bench.processes import BenchError, Process
from bench.system import System
from plaudit.message.v1 import conversation_changes_pb2 as changes_pb
from plaudit.message.v1 import conversation_members_pb2 as members_pb
from plaudit.message.v1 import conversation_pb2 as conversation_pb
from plaudit.message.v1 import conversation_service_pb2_grpc


@dataclass
class Conversations:
    """Conversations of the users `u0`, `u1`, …, and which of them each user sends to, in turn."""

    system: System
    ids: list[str] = field(default_factory=list)
    members: list[Sequence[int]] = field(default_factory=list)
    sends: dict[int, list[int]] = field(default_factory=dict)
    """By user, indexes of `ids`."""

    def direct(self, one: int, other: int) -> int:
        """Creates a direct conversation; returns its index."""
        request = changes_pb.CreateConversationRequest(participant_ids=[f"u{other}"])
        return self._add(self._stub.CreateConversation, request, (one, other))

    def group(self, members: Sequence[int]) -> int:
        """Creates a group, by its first member; returns its index."""
        request = changes_pb.CreateGroupRequest(name="Group", member_ids=[f"u{member}" for member in members[1:]])
        return self._add(self._stub.CreateGroup, request, members)

    def channel(self, members: Sequence[int], writers: int) -> int:
        """Creates a channel of which the first members are admins, up to 500; returns its index."""
        index = self.group(members[:writers])
        metadata, name = self._metadata(members[0]), self.ids[index]
        for writer in members[1:writers]:
            self._stub.SetMemberRole(
                members_pb.SetMemberRoleRequest(
                    conversation_id=name, user_id=f"u{writer}", role=conversation_pb.ROLE_ADMIN
                ),
                metadata=metadata,
            )
        self._stub.ConvertToChannel(changes_pb.ConvertToChannelRequest(conversation_id=name), metadata=metadata)
        for start in range(writers, len(members), 500):
            users = [f"u{member}" for member in members[start : start + 500]]
            self._stub.AddMembers(members_pb.AddMembersRequest(conversation_id=name, user_ids=users), metadata=metadata)
        self.members[index] = members
        return index

    def lines(self, receivers: int, senders: int) -> str:
        """The file of `wsload --conversations`: the first users receive, and the first users send."""
        lines = [
            f"conversation {name} {sum(member < receivers for member in members)}"
            for name, members in zip(self.ids, self.members, strict=True)
        ]
        lines += [f"sends {user} {' '.join(map(str, to))}" for user, to in self.sends.items() if user < senders]
        return "\n".join([*lines, ""])

    @property
    def _stub(self) -> Any:
        return conversation_service_pb2_grpc.ConversationServiceStub(self.system.channel)

    def _metadata(self, user: int) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.system.service_token}"), ("plaudit-user", f"u{user}")]

    def _add(self, call: Any, request: Any, members: Sequence[int]) -> int:
        self.ids.append(call(request, metadata=self._metadata(members[0]), timeout=10).conversation_id)
        self.members.append(members)
        return len(self.ids) - 1


@contextmanager
def members_connected(
    conversations: Conversations, users: int, name: str, topic: str = "users/u{}", *, receive: bool = True
) -> Iterator[Process]:
    """Connects the first users, one socket each; with `receive` they get the messages of their conversations, or of
    another topic."""
    with NamedTemporaryFile("w", suffix=".conversations") as file:
        file.write(conversations.lines(users if receive else 0, users))
        file.flush()
        options = ["--conversations", str(Path(file.name))]
        if receive:
            options += ["--topic", topic, "--ack-ms", "500", "--sources", "8"]
        tokens = conversations.system.user_tokens(users)
        with connected(conversations.system.http_port, users, name=name, tokens=tokens, options=options) as driver:
            yield driver


def send(driver: Process, seconds: float, rate: float = 0.0, in_flight: int = 1) -> Mapping[str, Any]:
    """Sends messages for some seconds; raises BenchError unless each was acknowledged once, and arrived once, in order
    and without a gap at every connected member."""
    report = driver.request(f"send {seconds} {rate} {in_flight}", timeout=seconds + 60.0)
    faults = ("errors", "lost", "doubled", "closed", "undelivered", "overdelivered", "gaps", "out_of_order")
    found = {fault: report[fault] for fault in faults if report[fault]}
    if found or not report["acks"]:
        raise BenchError(f"{report['acks']} messages sent by frame, but {found}, first: {report['first_error']!r}")
    return report
