"""Resume on one node, frame by frame: missed pushes arrive once and in order, and no others can be requested."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, ResumeLimits
from kit.clock import ManualClock
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.gateway.v1.node_service_pb2 import Delivery
from tests.wire.gatewayrig import JSON, PROTO, Client, Rig, running, until
from tests.wire.sessions.test_gateway_node import TOPIC, subscribed, update

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


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_missed_pushes_arrive_once_and_in_order(tmp_path: Path, subprotocol: str) -> None:
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


@pytest.mark.parametrize("case", ["edited", "cut", "empty", "another session", "another user", "long", "not ascii"])
async def test_a_token_of_another_session_opens_a_new_session(tmp_path: Path, case: str) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first:
        welcome = await opened(first, OWN)
        await rig.deliver(own(1))
        await pushes(first, 1)
        token: str = welcome["resume_token"]
        changes: dict[str, Any] = {
            "edited": {"resume_token": token[:-1] + ("A" if token[-1] != "A" else "B")},
            "cut": {"resume_token": token[:20]},
            "empty": {"resume_token": ""},
            "another session": {"session": welcome["session"][:-1] + "x"},
            "another user": {},
            "long": {"resume_token": "A" * 512},
            "not ascii": {"resume_token": "töken😀"},
        }[case]
        user = "bob" if case == "another user" else "alice"
        async with rig.socket(user, hello=False) as second:
            answer = await resume(second, welcome, 0, {TOPIC: 0}, **changes)
            assert (answer["verdict"], answer["user"]) == ("reset", user)
            assert answer["session"] not in ("", welcome["session"])
            await rig.deliver(own(2), update(3))
            await assert_no_push(second)
            assert (await second.ask({"type": "subscribe", "id": 4, "topics": [TOPIC]}))["type"] == "subscribed"
        # The one that was asked for is none the worse.
        assert await pushes(first, 1) == [(2, 2)]


async def test_a_token_is_valid_for_the_window_and_every_pong_has_a_newer_one(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    async with running(tmp_path, clock=clock) as rig, rig.socket(hello=False) as first:
        welcome = await opened(first, OWN)
        for _ in range(20):
            clock.advance(30)
            rig.gateway.node.tick()
            pong = await first.ask({"type": "ping", "id": 3})
        await disconnect(rig, first)
        clock.advance(119)
        rig.gateway.node.tick()
        async with rig.socket(hello=False) as late:
            assert (await resume(late, welcome, 0, {OWN: 0}))["verdict"] == "reset"
        async with rig.socket(hello=False) as right:
            newest = {**welcome, "resume_token": pong["resume_token"]}
            assert (await resume(right, newest, 0, {OWN: 0}))["verdict"] == "complete"


async def test_a_session_detached_for_longer_than_the_window_ends(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    async with running(tmp_path, clock=clock) as rig, rig.socket(hello=False) as first:
        welcome = await opened(first, OWN)
        await disconnect(rig, first)
        await rig.deliver(own(1))
        clock.advance(121)
        rig.gateway.node.tick()
        assert ("closed", welcome["session"]) in rig.directory.events
        assert rig.gateway.node.sessions.replay_budget.used == 0
        async with rig.socket(hello=False) as second:
            assert (await resume(second, welcome, 0, {OWN: 0}))["verdict"] == "reset"


async def test_a_normal_closure_ends_the_session(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        async with rig.socket(hello=False) as first:
            welcome = await opened(first, OWN)
        await until(lambda: ("closed", welcome["session"]) in rig.directory.events)
        async with rig.socket(hello=False) as second:
            assert (await resume(second, welcome, 0, {OWN: 0}))["verdict"] == "reset"


async def test_a_fenced_session_cannot_be_resumed(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, OWN)
        rig.directory.fence([welcome["session"]])
        assert await first.closed() == 4504
        assert (await resume(second, welcome, 0, {OWN: 0}))["verdict"] == "reset"


@pytest.mark.parametrize("limits", [{"pushes": 3}, {"bytes": 1_500}, {"total_bytes": 1_500}])
async def test_more_pushes_than_the_buffer_holds_are_partial_with_the_topics_to_reload(
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


async def test_above_the_limit_the_oldest_detached_sessions_are_reset(tmp_path: Path) -> None:
    config = Config(resume=ResumeLimits(sessions=1))
    async with running(tmp_path, config=config) as rig, rig.socket(hello=False) as one, rig.socket(hello=False) as two:
        welcomes = [await opened(client, OWN) for client in (one, two)]
        for client in (one, two):
            await disconnect(rig, client)
        verdicts = []
        for welcome in welcomes:
            async with rig.socket(hello=False) as again:
                verdicts.append((await resume(again, welcome, 0, {OWN: 0}))["verdict"])
        assert verdicts == ["reset", "complete"]


async def test_a_topic_that_was_not_subscribed_before_must_be_reloaded(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, TOPIC)
        resumed = await resume(second, welcome, 0, {TOPIC: 0, OWN: 0})
        assert (resumed["verdict"], resumed["reload"]) == ("partial", [OWN])


async def test_a_number_that_was_not_assigned_yet_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for seq in (5, (1 << 64) - 1):
            async with rig.socket(hello=False) as first, rig.socket(hello=False) as second:
                welcome = await opened(first, OWN)
                assert (await resume(second, welcome, seq, {OWN: 0}))["verdict"] == "reset"


async def test_states_older_than_those_the_client_has_seen_on_another_node_are_not_sent(tmp_path: Path) -> None:
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


async def test_a_newer_state_is_sent_at_once(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"topics": [{"topic": TOPIC, "version": -1}]}, "version"),
        ({"topics": [{"topic": TOPIC, "version": "soon"}]}, "version"),
        ({"topics": [{"topic": TOPIC, "version": 1 << 64}]}, "version"),
        ({"topics": [{"topic": "no topic", "version": 1}]}, "topic"),
        ({"topics": [{"topic": "users/bob", "version": 1}]}, "topics[0]"),
        ({"topics": {"topic": TOPIC}}, "topics"),
        ({"topics": [{"topic": f"a/{n}"} for n in range(129)]}, "topics"),
        ({"seq": -1}, "seq"),
        ({"seq": 1 << 64}, "seq"),
        ({"session": "x" * 65}, "session"),
        ({"resume_token": "x" * 513}, "resume_token"),
        ({"resume_token": 7}, "resume_token"),
        ({"device": "no device"}, "device"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_resume_that_breaks_a_rule_is_refused_with_the_field_and_can_be_repeated(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, OWN)
        right = {"session": welcome["session"], "resume_token": welcome["resume_token"], "seq": 0, "topics": []}
        error = await second.ask({"type": "resume", "id": 9, **right, **changes})
        assert (error["type"], error["id"]) == ("error", 9)
        assert error["code"] in ("INVALID_ARGUMENT", "PERMISSION_DENIED")
        assert where in error["field"]
        assert (await second.ask({"type": "resume", "id": 10, **right}))["verdict"] == "complete"


@pytest.mark.parametrize(
    "data",
    [
        pb.ClientFrame(id=9, resume=session_pb.Resume(topics=[session_pb.Position(topic=TOPIC, version=-1)])),
        pb.ClientFrame(id=9, resume=session_pb.Resume(topics=[session_pb.Position(topic="x")])),
        pb.ClientFrame(id=9, resume=session_pb.Resume(session="x" * 65)),
    ],
)
async def test_a_binary_resume_that_breaks_a_rule_is_refused(tmp_path: Path, data: pb.ClientFrame) -> None:
    async with running(tmp_path) as rig, rig.socket(subprotocol=PROTO, hello=False) as client:
        answer = await client.ask(data)
        assert (answer.id, answer.error.code) == (9, "INVALID_ARGUMENT")
        assert (await client.hello()).welcome.session


async def test_a_socket_has_one_session(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        said = {"type": "resume", "id": 9, "session": "s", "resume_token": "t"}
        hello = {"type": "hello", "id": 1}
        for frames in ([hello, said], [said, said], [said, hello]):
            async with rig.socket(hello=False) as client:
                for frame in frames:
                    await client.socket.send(json.dumps(frame))
                assert await client.closed() == 4502
        await until(lambda: rig.gateway.node.is_empty)


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


async def test_no_token_is_in_the_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, OWN)
        await resume(second, welcome, 0, {OWN: 0})
        await asyncio.sleep(0)
    said = capsys.readouterr()
    assert "session resumed" in said.out + said.err
    assert welcome["resume_token"] not in said.out + said.err
