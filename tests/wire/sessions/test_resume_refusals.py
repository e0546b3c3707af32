"""Resumes that are refused or open a new session: rules, tokens, windows and limits."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, ResumeLimits
from kit.clock import ManualClock
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from tests.wire.gatewayrig import PROTO, running, until
from tests.wire.sessions.resuming import OWN, assert_no_push, disconnect, opened, own, pushes, resume
from tests.wire.sessions.topic_pushes import TOPIC, update


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


async def test_a_session_that_is_logged_out_cannot_be_resumed(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as one, rig.socket(hello=False) as two:
        welcomes = [await opened(client, OWN) for client in (one, two)]
        await disconnect(rig, two)  # it waits for its client
        rig.directory.log_out([welcome["session"] for welcome in welcomes])
        assert await one.closed() == 4505
        for welcome in welcomes:
            async with rig.socket(hello=False) as again:
                assert (await resume(again, welcome, 0, {OWN: 0}))["verdict"] == "reset"


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


async def test_a_number_that_was_not_assigned_yet_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for seq in (5, (1 << 64) - 1):
            async with rig.socket(hello=False) as first, rig.socket(hello=False) as second:
                welcome = await opened(first, OWN)
                assert (await resume(second, welcome, seq, {OWN: 0}))["verdict"] == "reset"


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


async def test_no_token_is_in_the_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path) as rig, rig.socket(hello=False) as first, rig.socket(hello=False) as second:
        welcome = await opened(first, OWN)
        await resume(second, welcome, 0, {OWN: 0})
        await asyncio.sleep(0)
    said = capsys.readouterr()
    assert "session resumed" in said.out + said.err
    assert welcome["resume_token"] not in said.out + said.err
