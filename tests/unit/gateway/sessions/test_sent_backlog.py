"""A message of a backlog that fan-out pushes later, too, is sent once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.config import Config
from gateway.fanout.delivery import Delivery
from gateway.sessions.effects import Effect
from gateway.sessions.push_sender import PushSender
from gateway.sessions.replay_buffer import MemoryBudget, ReplayBuffer
from gateway.sessions.session import Session
from tests.unit.gateway.fanout.test_hub import FRAMES, BlockableSocket

DONE = b"\x81\x02{}"


class Host:
    """What a sender needs of a node."""

    config = Config()

    def new_replay_buffer(self) -> ReplayBuffer:
        return ReplayBuffer(self.config.resume, MemoryBudget(1_000_000))


class Sender(PushSender):
    """A sender to a socket of memory."""

    def __init__(self) -> None:
        host: Any = Host()
        super().__init__(host, FRAMES, Session("acme", "bob", 1e9, host.config.session, 0.0))
        self.memory = BlockableSocket()
        self.memory.direct = True
        socket: Any = self.memory
        self.socket = socket

    def run(self, effects: Sequence[Effect]) -> None:
        raise AssertionError(effects)

    @property
    def sent(self) -> list[int]:
        """The numbers of the pushes."""
        return [frame["seq"] for frame in self.memory.frames() if frame]


def message(seq: int, conversation_id: str = "a", kind: str = "new_message") -> Delivery:
    return Delivery("acme", "users/bob", kind, b"", seq, f"{conversation_id} {seq}", conversation_id)


def test_a_message_of_the_backlog_is_not_pushed_again_however_late() -> None:
    sender = Sender()
    sender.hold()
    sender.push_backlog([("a", 4, b""), ("a", 5, b"")], [])
    assert sender.deliver(message(4)) == 0
    sender.end_backlog(DONE)
    assert [sender.deliver(message(seq)) for seq in (5, 6, 7)] == [0, 1, 1]
    assert sender.sent == [1, 2, 3, 4]


def test_other_pushes_and_other_conversations_are_pushed() -> None:
    sender = Sender()
    sender.hold()
    sender.push_backlog([("a", 5, b"")], [])
    sender.end_backlog(DONE)
    assert sender.deliver(message(4, kind="message_changed")) == 1
    assert sender.deliver(message(2, "b")) == 1
    assert sender.acknowledge(3) == {"a": 5, "b": 2}
