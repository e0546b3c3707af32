"""Pushes to a topic, and sockets that subscribe to it."""

from __future__ import annotations

from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1.node_service_pb2 import Delivery
from plaudit.type.v1.counts_pb2 import ReactionCount
from tests.wire.gatewayrig import Client

TOPIC = "messages/42"


def update(version: int, *, topic: str = TOPIC, tenant: str = "default", key: str = "", text: str = "👍") -> Delivery:
    payload = updates_pb2.ReactionUpdate(version=version, reactions=[ReactionCount(emoji=text, count=version)])
    kind = "reaction_update"
    return Delivery(
        tenant=tenant, topic=topic, type=kind, payload=payload.SerializeToString(), version=version, key=key
    )


async def subscribed(client: Client, *topics: str) -> Client:
    topics = topics or (TOPIC,)
    if client.is_json:
        assert (await client.ask({"type": "subscribe", "id": 2, "topics": topics}))["type"] == "subscribed"
    else:
        answer = await client.ask(pb.ClientFrame(id=2, subscribe=pb.Subscribe(topics=topics)))
        assert list(answer.subscribed.topics) == list(topics)
    return client


async def versions(client: Client, last: int) -> list[int]:
    """The versions pushed, up to and including `last`."""
    seen: list[int] = []
    while not seen or seen[-1] != last:
        frame = await client.next()
        if frame["type"] != "lag":
            seen.append(int(frame["version"]))
    return seen
