"""Subscriptions on real sockets: the newest state, in order, until they end."""

from __future__ import annotations

import pytest

from plaudit_client import PlauditError
from tests.unit.client.connected import connected, nothing_is_left_running
from tests.unit.client.scripted_server import COUNTED, Peer

__all__ = ["nothing_is_left_running"]


async def test_a_reader_gets_the_newest_state_after_a_reconnection_and_versions_never_decrease() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        for version in (3, 2, 3, 5):
            await peer.send("reaction_update", topic="messages/42", version=str(version), reactions=COUNTED)
        assert (await peer.receive())["type"] == "get_counts"  # the client has read this far
        peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        assert frame["topics"] == ["messages/42"]
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        for version in (4, 5, 9):
            await peer.send("reaction_update", topic="messages/42", version=str(version), reactions=[])
        await peer.send("ack", id=(await peer.receive("get_counts"))["id"], counts=[])
        await peer.stay()

    async with connected(first, second) as client, client.subscribe("messages/42") as updates:
        versions = [(await anext(updates)).version]
        while versions[-1] < 5:
            versions.append((await anext(updates)).version)
        await client.counts("messages/42")
        versions.append((await anext(updates)).version)
    assert versions[-2:] == [5, 9]
    assert versions == sorted(set(versions))


async def test_the_end_of_a_subscription_is_sent_to_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        assert (await peer.receive("unsubscribe"))["topics"] == ["messages/42"]
        await peer.ack(await peer.receive("toggle_reaction"))
        await peer.stay()

    async with connected(script) as client:
        async with client.subscribe("messages/42"):
            pass
        await client.toggle("messages/42", "👍")


async def test_refused_topics_end_the_reader_with_the_error_of_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("error", id=frame["id"], code="RESOURCE_EXHAUSTED", reason="TOO_MANY_TOPICS", message="no")
        await peer.stay()

    async with connected(script) as client:
        with pytest.raises(PlauditError, match="TOO_MANY_TOPICS"):
            async for _ in client.subscribe("messages/42"):
                pass


async def test_own_updates_are_pushed_on_the_topic_of_the_user() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        assert frame["topics"] == ["users/alice"]
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        await peer.send(
            "own_reaction_update", topic="users/alice", target="posts/1", added="❤", removed="👍", version="5"
        )
        await peer.stay()

    async with connected(script) as client, client.own_updates() as updates:
        update = await anext(updates)
    assert (update.target, update.added, update.removed) == ("posts/1", frozenset("❤"), frozenset("👍"))
