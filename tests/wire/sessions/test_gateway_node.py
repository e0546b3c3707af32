"""Fan-out to real sockets: which pushes a subscriber gets, in which order, and slow readers."""

from __future__ import annotations

from pathlib import Path

from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1.node_service_pb2 import Delivery
from tests.wire.gatewayrig import PROTO, running, until
from tests.wire.sessions.topic_pushes import TOPIC, subscribed, update, versions


async def test_a_push_reaches_its_subscribers_in_their_own_subprotocols(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as rig,
        rig.socket() as text,
        rig.socket("bob", PROTO) as binary,
        rig.socket() as other,
    ):
        await subscribed(text)
        await subscribed(binary)
        await subscribed(other, "messages/43")
        assert await rig.deliver(update(18)) == 2
        assert await text.next() == {
            "type": "reaction_update",
            "topic": TOPIC,
            "version": "18",
            "reactions": [{"emoji": "👍", "count": "18"}],
            "storm": False,
            "recent": [],
        }
        push = (await binary.next()).push
        assert (push.topic, push.type) == (TOPIC, "reaction_update")
        assert updates_pb2.ReactionUpdate.FromString(push.payload).version == 18
        assert (await other.ask({"type": "ping", "id": 3}))["type"] == "pong"


async def test_another_tenants_topic_of_the_same_name_is_another_topic(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        assert await rig.deliver(update(5, tenant="other")) == 0
        assert await rig.deliver(update(4)) == 1
        assert await versions(client, 4) == [4]


async def test_versions_never_decrease_and_are_never_repeated(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        for version in (3, 2, 3, 7, 5, 7, 9):
            await rig.deliver(update(version))
        assert await versions(client, 9) == [3, 7, 9]


async def test_a_later_subscriber_gets_the_last_update_immediately(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as first, rig.socket("bob", PROTO) as late:
        await subscribed(first)
        await rig.deliver(update(6), update(7))
        await subscribed(late)
        assert updates_pb2.ReactionUpdate.FromString((await late.next()).push.payload).version == 7


async def test_updates_of_different_keys_do_not_replace_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client, rig.socket("bob") as late:
        await subscribed(client)
        await rig.deliver(update(5, key="a"), update(4, key="b"))
        assert [int((await client.next())["version"]) for _ in range(2)] == [5, 4]
        await subscribed(late)
        assert {int((await late.next())["version"]) for _ in range(2)} == {4, 5}


async def test_a_topic_is_registered_from_its_first_subscriber_to_its_last(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        subscriptions = [event for event in rig.directory.events if "subscribed" in event[0]]
        async with rig.socket() as first:
            await subscribed(first)
            async with rig.socket("bob") as second:
                await subscribed(second)
            await until(lambda: len(rig.gateway.node) == 1)
            subscriptions = [event for event in rig.directory.events if "subscribed" in event[0]]
            assert subscriptions == [("subscribed", "default", TOPIC)]
        await until(lambda: ("unsubscribed", "default", TOPIC) in rig.directory.events)
        assert [event[0] for event in rig.directory.events].count("closed") == 2


async def test_a_subscriber_that_subscribes_again_misses_no_update_and_gets_no_older_one(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        await rig.deliver(update(10))
        assert await versions(client, 10) == [10]
        assert (await client.ask({"type": "unsubscribe", "id": 3, "topics": [TOPIC]}))["topics"] == [TOPIC]
        await rig.deliver(update(12))
        await subscribed(client)
        await rig.deliver(update(11))
        await rig.deliver(update(13))
        assert await versions(client, 13) == [12, 13]


async def test_only_the_unreadable_push_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client, TOPIC, "messages/43")
        broken = Delivery(tenant="default", topic="messages/43", type="reaction_update", payload=b"\xff", version=1)
        unknown = Delivery(tenant="default", topic="messages/43", type="mystery", payload=b"", version=2)
        await rig.deliver(broken, unknown, update(3))
        assert await versions(client, 3) == [3]
