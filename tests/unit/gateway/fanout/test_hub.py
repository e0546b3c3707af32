"""Fan-out on one node under the interleavings that hypothesis finds, with sockets that block at any time."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Config
from gateway.contracts.tables import read_tables
from gateway.fanout.delivery import Delivery
from gateway.frames.frame import Subscribe, Unsubscribe
from gateway.frames.json_frames import JsonFrames
from gateway.node import Node
from gateway.sessions.connection import Connection
from gateway.sessions.session import Session
from kit.auth.keys import open_keys
from kit.clock import ManualClock
from kit.cluster.registration import LeaseStatus
from plaudit.fanout.v1 import updates_pb2

TABLES = read_tables()
FRAMES = JsonFrames(TABLES)
TOPIC = "messages/1"


class BlockableSocket:
    """A socket (`gateway.websocket.socket.Socket`) whose peer reads or does not."""

    peer = ("127.0.0.1", 1)

    def __init__(self) -> None:
        self.blocked = False
        self.direct = False
        self.buffered = 0
        self.sent = b""

    def send(self, frame: bytes) -> None:
        self.sent += frame
        if self.blocked:
            self.buffered += len(frame)

    def raise_limit(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def frames(self) -> list[dict[str, Any]]:
        """What was sent, in order: server frames are not masked, and short ones have a length of one or three bytes."""
        found, rest = [], self.sent
        while rest:
            start, length = (4, int.from_bytes(rest[2:4], "big")) if rest[1] == 126 else (2, rest[1])
            found.append(json.loads(rest[start : start + length]))
            rest = rest[start + length :]
        return found


class NoDirectory:
    """A directory that ignores what it is given."""

    def on_fenced(self, callback: Any) -> None: ...

    def on_logged_out(self, callback: Any) -> None: ...

    def opened(self, *_: str, token_issued: int | None = None) -> None: ...

    def closed(self, _: str) -> None: ...

    def is_attached(self) -> bool:
        return True

    def lease_status(self) -> LeaseStatus:
        return LeaseStatus(1, 10.0, 0.0, True)

    def subscribe(self, *_: str) -> None: ...

    def unsubscribe(self, *_: str) -> None: ...


class NodeWithConnections:
    """A node with some connections."""

    def __init__(self, folder: Path, size: int) -> None:
        self.clock = ManualClock()
        config = Config(slice=1, keys_per_topic=8)
        calls: Any = None
        verifier = open_keys(folder).verifier()
        self.node = Node(
            "n",
            config,
            TABLES,
            calls,
            NoDirectory(),
            verifier,
            self.clock,
            secret=b"s",
            spawn=asyncio.ensure_future,
        )
        self.connections: list[Connection] = []
        self.sockets: list[BlockableSocket] = []
        self.tasks: list[asyncio.Task[int]] = []
        for index in range(size):
            session = Session("acme", f"u{index}", 1e9, config.session, 0.0)
            session.opened = True
            connection = Connection(self.node, FRAMES, session, "token")
            socket: Any = BlockableSocket()
            connection.on_open(socket)
            self.connections.append(connection)
            self.sockets.append(socket)

    async def act(self, action: tuple[str, int, int]) -> None:
        what, who, number = action
        connection, socket = self.connections[who % len(self.connections)], self.sockets[who % len(self.sockets)]
        match what:
            case "subscribe":
                connection.session.topics = {TOPIC}
                connection.run((Subscribe(1, [TOPIC]),))
            case "unsubscribe":
                connection.session.topics = None
                connection.run((Unsubscribe(1, [TOPIC]),))
            case "block":
                socket.blocked = True
            case "unblock":
                socket.blocked = False
                if socket.buffered:
                    socket.buffered = 0
                    connection.on_writable()
            case "deliver":
                payload = updates_pb2.ReactionUpdate(version=number, recent=[f"k{who % 2}"]).SerializeToString()
                delivery = Delivery(
                    tenant="acme",
                    topic=TOPIC,
                    type="reaction_update",
                    payload=payload,
                    version=number,
                    key=f"k{who % 2}",
                )
                self.tasks.append(asyncio.create_task(self.node.hub.deliver(self, delivery)))
            case "wait":
                self.clock.advance(number)
        await asyncio.sleep(0)

    async def settle(self) -> None:
        for index in range(len(self.connections)):
            await self.act(("unblock", index, 0))
        await asyncio.gather(*self.tasks)
        await asyncio.sleep(0)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["subscribe", "unsubscribe", "block", "unblock", "deliver", "deliver", "deliver", "wait"]),
        st.integers(0, 3),
        st.integers(1, 30),
    ),
    max_size=60,
)


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@settings(max_examples=200, deadline=None)
@given(actions=ACTIONS)
def test_versions_of_a_topic_and_key_never_decrease_on_any_socket(
    folder: Path, actions: Sequence[tuple[str, int, int]]
) -> None:
    asyncio.run(check(folder, actions))


async def check(folder: Path, actions: Sequence[tuple[str, int, int]]) -> None:
    model = NodeWithConnections(folder, 4)
    for index in range(4):
        await model.act(("subscribe", index, 0))
    for action in actions:
        await model.act(action)
    # Every subscriber must get this last push, newer than all others, also those that do not read now.
    for key in (0, 1):
        await model.act(("deliver", key, 99))
    await model.settle()
    for connection, socket in zip(model.connections, model.sockets, strict=True):
        seen: dict[str, list[int]] = defaultdict(list)
        for frame in socket.frames():
            if frame["type"] == "reaction_update":
                seen[frame["recent"][0]].append(int(frame["version"]))
        for versions in seen.values():
            assert versions == sorted(versions)
        if connection.session.topics:
            assert {key: versions[-1] for key, versions in seen.items()} == {"k0": 99, "k1": 99}


def test_the_number_of_retired_topics_is_bounded(folder: Path) -> None:
    async def run() -> None:
        model = NodeWithConnections(folder, 1)
        (connection,) = model.connections
        hub = model.node.hub
        for number in range(9000):
            hub.subscribe(connection, "acme", [f"messages/{number}"])
            hub.unsubscribe(connection, "acme", [f"messages/{number}"])
        assert len(hub) == 0
        assert hub.retired == model.node.config.retired_topics

    asyncio.run(run())


def test_a_revoked_token_ends_its_session_at_the_next_tick(folder: Path) -> None:
    model = NodeWithConnections(folder, 1)
    (connection,) = model.connections
    (folder / "revoked").write_text("token\n")
    try:
        model.clock.advance(1.1)
        model.node.tick()
    finally:
        (folder / "revoked").unlink()
    assert connection.session.closed
