"""Resume on one node, frame by frame: missed pushes arrive once and in order, and no others can be requested."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Config, ResumeLimits
from tests.wire.gatewayrig import JSON, PROTO, running, until
from tests.wire.sessions.resuming import OWN, assert_no_push, disconnect, field, opened, own, pushes, resume
from tests.wire.sessions.topic_pushes import TOPIC, subscribed, update


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_missed_pushes_are_delivered_once_and_in_order(tmp_path: Path, subprotocol: str) -> None:
    async with running(tmp_path) as rig, rig.socket(subprotocol=subprotocol, hello=False) as first:
        welcome = await opened(first, OWN)
        await rig.deliver(own(11), own(12))
        assert await pushes(first, 2) == [(1, 11), (2, 12)]
        await disconnect(rig, first)
        assert await rig.deliver(own(13), own(13), own(14)) == 2
        async with rig.socket(subprotocol=subprotocol, hello=False) as second:
            resumed = await resume(second, welcome, 1, {OWN: 0})
            assert field(resumed, "session") == field(welcome, "session")
            assert (field(resumed, "verdict"), list(field(resumed, "reload"))) == ("complete", [])
            assert int(field(resumed, "seq")) == 1
            assert await pushes(second, 3) == [(2, 12), (3, 13), (4, 14)]
            await rig.deliver(own(15))
            assert await pushes(second, 1) == [(5, 15)]
            await assert_no_push(second)


async def test_a_state_push_has_no_number_and_an_own_one_has(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client, TOPIC, OWN)
        await rig.deliver(update(5), own(6))
        state, durable = await client.next(), await client.next()
        assert "seq" not in state
        assert durable["seq"] == 1
        pong = await client.ask({"type": "ping", "id": 3, "seq": "1"})
        assert pong["seq"] == "1"
        assert pong["resume_token"]


async def test_acknowledged_pushes_are_not_buffered(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client, OWN)
        await rig.deliver(*(own(version) for version in range(1, 11)))
        await pushes(client, 10)
        used = rig.gateway.node.sessions.replay_budget.used
        await client.ask({"type": "ping", "id": 3, "seq": 9})
        assert 0 < rig.gateway.node.sessions.replay_budget.used < used / 5
        await client.ask({"type": "ping", "id": 3, "seq": 10})
        assert rig.gateway.node.sessions.replay_budget.used == 0


async def test_a_session_whose_old_socket_is_still_open_moves_and_the_old_one_is_closed_with_4004(
    tmp_path: Path,
) -> None:
    async with (
        running(tmp_path) as rig,
        rig.socket(hello=False) as first,
        rig.socket(hello=False) as second,
    ):
        welcome = await opened(first, OWN)
        await rig.deliver(own(1))
        assert (await resume(second, welcome, 0, {OWN: 0}))["verdict"] == "complete"
        assert await pushes(second, 1) == [(1, 1)]
        assert await first.closed() == 4004
        assert [event[0] for event in rig.directory.events] == ["opened", "subscribed"]
        # Both are gone at the end, and it is the second one whose end counts.
        await rig.deliver(own(2))
        assert await pushes(second, 1) == [(2, 2)]


@pytest.mark.parametrize("limits", [{"pushes": 3}, {"bytes": 1_500}, {"total_bytes": 1_500}])
async def test_above_the_replay_buffer_a_resume_is_partial_with_the_topics_to_reload(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    config = Config(resume=ResumeLimits(**limits))
    async with running(tmp_path, config=config) as rig, rig.socket(hello=False) as first:
        welcome = await opened(first, TOPIC, OWN)
        await disconnect(rig, first)
        await rig.deliver(*(own(version) for version in range(1, 9)))
        async with rig.socket(hello=False) as second:
            resumed = await resume(second, welcome, 0, {TOPIC: 0, OWN: 0})
            assert (resumed["verdict"], resumed["reload"]) == ("partial", [OWN])
            await rig.deliver(own(9))
            assert await pushes(second, 1) == [(1, 9)]


async def test_a_topic_that_was_not_subscribed_before_must_be_reloaded(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, TOPIC)
        resumed = await resume(second, welcome, 0, {TOPIC: 0, OWN: 0})
        assert (resumed["verdict"], resumed["reload"]) == ("partial", [OWN])


async def test_states_older_than_those_received_from_another_node_are_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket() as other:
        welcome = await opened(first, TOPIC)
        await subscribed(other)
        await rig.deliver(update(18))
        await disconnect(rig, first)
        async with rig.socket(hello=False) as second:
            assert (await resume(second, welcome, 0, {TOPIC: 20}))["verdict"] == "complete"
            for version in (19, 20, 21):
                await rig.deliver(update(version))
            assert int((await second.next())["version"]) == 21
            await assert_no_push(second)
            await rig.deliver(update(22))
            assert int((await second.next())["version"]) == 22
        assert [int((await other.next())["version"]) for _ in range(5)] == [18, 19, 20, 21, 22]


async def test_a_newer_state_is_sent_immediately(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket() as other:
        welcome = await opened(first, TOPIC, "messages/43")
        await subscribed(other, TOPIC, "messages/43")
        await rig.deliver(update(18), update(7, topic="messages/43"))
        await disconnect(rig, first)
        await rig.deliver(update(19))
        async with rig.socket(hello=False) as second:
            await resume(second, welcome, 0, {TOPIC: 18, "messages/43": 7})
            assert int((await second.next())["version"]) == 19
            await assert_no_push(second)


async def test_a_client_that_awaits_a_version_can_unsubscribe_and_subscribe_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, TOPIC)
        await resume(second, welcome, 0, {TOPIC: (1 << 63) - 1})
        await second.ask({"type": "unsubscribe", "id": 4, "topics": [TOPIC]})
        await until(lambda: ("unsubscribed", "default", TOPIC) in rig.directory.events)
        await subscribed(second)
        await rig.deliver(update(3))
        assert int((await second.next())["version"]) == 3


async def test_a_push_that_fan_out_may_have_lost_shows_as_a_gap_in_the_numbers(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, OWN)
        await rig.deliver(own(1), sequence="a")
        # The sequence begins: what was before it is unknown.
        assert await pushes(first, 1) == [(2, 1)]
        await rig.deliver(own(2), sequence="a")
        assert await pushes(first, 1) == [(3, 2)]
        await rig.deliver(sequence="b")
        assert (await first.ask({"type": "ping", "id": 3, "seq": 3}))["seq"] == "4"
        resumed = await resume(second, welcome, 3, {OWN: 0})
        assert (resumed["verdict"], resumed["reload"]) == ("partial", [OWN])
