"""Sockets that open, lose and resume a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.gateway.v1.node_service_pb2 import Delivery
from tests.wire.gatewayrig import Client, Rig, until
from tests.wire.sessions.topic_pushes import subscribed

OWN = "users/alice"


def own(version: int, *, target: str = "", user: str = "alice") -> Delivery:
    """A push of a user's own change; each on another target."""
    target = target or f"messages/{version}"
    message = updates_pb2.OwnReactionUpdate(target=target, added="👍", version=version)
    return Delivery(
        tenant="default",
        topic=f"users/{user}",
        type="own_reaction_update",
        payload=message.SerializeToString(),
        version=version,
        key=f"{target} 👍",
    )


async def opened(client: Client, *topics: str) -> Any:
    """Sends hello and subscribes; returns the welcome."""
    welcome = await client.hello(device="phone")
    await subscribed(client, *topics)
    return welcome if client.is_json else welcome.welcome


def field(message: Any, name: str) -> Any:
    return message[name] if isinstance(message, Mapping) else getattr(message, name)


async def resume(client: Client, welcome: Any, seq: int, topics: Mapping[str, int], **changes: Any) -> Any:
    """Sends resume; returns the answer: `resumed`, or the error."""
    fields: dict[str, Any] = {
        "session": field(welcome, "session"),
        "resume_token": field(welcome, "resume_token"),
        "seq": seq,
        "device": "phone",
        **changes,
    }
    if client.is_json:
        positions = [{"topic": topic, "version": version} for topic, version in topics.items()]
        return await client.ask({"type": "resume", "id": 9, "topics": positions, **fields})
    positions_pb = [session_pb.Position(topic=topic, version=version) for topic, version in topics.items()]
    frame = await client.ask(pb.ClientFrame(id=9, resume=session_pb.Resume(topics=positions_pb, **fields)))
    return frame.resumed if frame.WhichOneof("body") == "resumed" else frame


async def pushes(client: Client, number: int) -> list[tuple[int, int]]:
    """The next durable pushes: seq and version."""
    found = []
    for _ in range(number):
        frame = await client.next()
        if client.is_json:
            assert frame["type"] == "own_reaction_update"
            found.append((frame["seq"], int(frame["version"])))
        else:
            message = updates_pb2.OwnReactionUpdate.FromString(frame.push.payload)
            found.append((frame.push.seq, message.version))
    return found


async def assert_no_push(client: Client) -> None:
    """No push is in flight."""
    frame = {"type": "ping", "id": 77} if client.is_json else pb.ClientFrame(id=77, ping=session_pb.Ping())
    answer = await client.ask(frame)
    assert (answer["type"] if client.is_json else answer.WhichOneof("body")) == "pong"


async def disconnect(rig: Rig, client: Client) -> None:
    """Breaks the connection, and waits until the node has noticed."""
    before = len(rig.gateway.node)
    client.socket.transport.abort()
    await until(lambda: len(rig.gateway.node) < before)
