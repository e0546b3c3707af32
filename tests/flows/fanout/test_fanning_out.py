"""From the reaction log to the gateway nodes: log, counter, registry and fan-out are real, over real gRPC."""

from __future__ import annotations

import asyncio
import time

from plaudit.fanout.v1 import updates_pb2
from tests.events import Change
from tests.flows.crowd import eventually
from tests.flows.fanout.fanout_system import HOT, QUIET, FanoutSystem, fixture_system, fixture_whole

__all__ = ["fixture_system", "fixture_whole"]


async def test_a_node_that_subscribes_gets_a_snapshot_immediately(whole: FanoutSystem) -> None:
    await whole.crowd.act([HOT], 30)
    node = await whole.node("n1")
    node.subscribe(HOT, QUIET)
    await node.assert_exact(whole.crowd, HOT)
    never = await node.update(QUIET, 0)
    assert (never.version, list(never.reactions)) == (0, [])


async def test_the_first_change_is_sent_immediately_and_the_next_ones_together_after_a_window(
    whole: FanoutSystem,
) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT)
    await node.update(HOT, 0)
    began = time.monotonic()
    await whole.crowd.append([whole.crowd.toggle(HOT, "alice", "👍")])
    first = await node.update(HOT, 1)
    assert time.monotonic() - began < 0.25
    assert list(first.recent) == ["alice"]
    for user in ("bob", "carol", "dave"):
        await whole.crowd.append([whole.crowd.toggle(HOT, user, "👍")])
    await node.assert_exact(whole.crowd, HOT)
    (_, snapshot), (at, _), (later, second) = node.updates(HOT)
    assert (snapshot.version, second.version, list(second.recent)) == (0, 4, ["dave", "carol", "bob"])
    assert 0.4 < later - at < 0.7


async def test_nodes_get_exactly_their_subscribed_topics(whole: FanoutSystem) -> None:
    one, two = await whole.node("n1"), await whole.node("n2")
    one.subscribe(HOT, QUIET)
    two.subscribe(QUIET)
    await two.update(QUIET, 0)
    await one.update(HOT, 0)
    await whole.crowd.append([whole.crowd.toggle(key, "alice", "👍") for key in (HOT, QUIET)])
    await one.assert_exact(whole.crowd, HOT, QUIET)
    await two.assert_exact(whole.crowd, QUIET)
    assert not two.updates(HOT)


async def test_own_changes_are_sent_only_to_the_topic_of_the_user(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)

    async def announced() -> bool:
        return ("users/alice", "", "n1") in [(one.topic, one.type, one.key) for _, one in node.receiver.got]

    await eventually(announced)
    changes = [whole.crowd.toggle(HOT, user, emoji) for user, emoji in (("alice", "👍"), ("bob", "👍"), ("alice", "❤"))]
    switch = Change("default", "posts/1", "alice", "👍", "❤", 5)
    await whole.crowd.append([*changes, switch])

    async def received() -> bool:
        return len(node.receiver.got) == 5

    await eventually(received)
    own = [one for _, one in node.receiver.got if one.type == "own_reaction_update"]
    assert {one.topic for one in own} == {"users/alice"}
    assert len({one.key for one in own}) == 3
    found = [updates_pb2.OwnReactionUpdate.FromString(one.payload) for one in own]
    assert [(one.target, one.added, one.removed, one.version) for one in found] == [
        ("messages/hot", "👍", "", 1),
        ("messages/hot", "❤", "", 3),
        ("posts/1", "👍", "❤", 5),
    ]


async def test_at_10_000_toggles_a_second_on_one_message_a_viewer_gets_2_updates_a_second(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT)
    await node.update(HOT, 0)
    began, seconds, batch = time.monotonic(), 2.0, 200
    rounds = round(seconds * 10_000 / batch)
    for n in range(rounds):
        await whole.crowd.append(whole.crowd.some([HOT], batch, users=5_000))
        await asyncio.sleep(max(0.0, began + (n + 1) * batch / 10_000 - time.monotonic()))
    lasted = time.monotonic() - began
    await node.assert_exact(whole.crowd, HOT)
    updates = node.updates(HOT)[1:]
    assert len(updates) <= 2 * lasted + 2
    storms = [update for _, update in updates[1:-1]]
    assert storms
    assert all(update.storm and not update.recent for update in storms)
    whole_version = whole.crowd.versions[HOT]
    assert whole_version == rounds * batch
