"""Valid and invalid frames of clients: the exact answers, and whether the socket stays open."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from tests.wire.gatewayrig import JSON, PROTO, TIMEOUT, Rig
from tests.wire.sockets.shared_rig import TOGGLE, connected, fixture_rig

__all__ = ["fixture_rig"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_hello_is_answered_with_the_user_and_the_limits(rig: Rig) -> None:
    async with rig.socket("carol", hello=False) as client:
        welcome = await client.hello(device="phone", client="test/1")
        assert (welcome["type"], welcome["id"], welcome["user"], welcome["node"]) == ("welcome", 1, "carol", "node-1")
        assert welcome["heartbeat_seconds"] == 30
        message = rig.gateway.node.config.socket.message
        limits = {"message_bytes": message, "topics": 128, "frames_per_second": 200, "calls_in_flight": 32}
        assert welcome["limits"] == limits
        assert ("opened", welcome["session"], "default", "carol", "phone") in rig.directory.events


async def test_a_call_is_acked_with_the_fields_of_its_response(rig: Rig) -> None:
    async with rig.socket("dave") as client:
        ack = await client.ask(TOGGLE)
        reactions = [{"emoji": "👍", "count": "1"}]
        assert ack == {"type": "ack", "id": 7, "on": True, "version": str(1 << 60), "reactions": reactions}
        assert (await client.ask(TOGGLE))["on"] is False


async def test_a_call_of_the_binary_subprotocol_passes_bytes_through(rig: Rig) -> None:
    async with rig.socket("erin", PROTO) as client:
        request = changes_pb.ToggleReactionRequest(target="messages/42", emoji="👍").SerializeToString()
        answer = await client.ask(pb.ClientFrame(id=9, call=pb.CallFrame(type="toggle_reaction", request=request)))
        assert answer.id == 9
        assert changes_pb.ToggleReactionResponse.FromString(answer.ack.response).on


async def test_a_call_without_an_id_is_answered_only_if_it_fails(rig: Rig) -> None:
    async with rig.socket("fred") as client:
        await client.socket.send(json.dumps({**TOGGLE, "id": 0}))
        await client.socket.send(json.dumps({**TOGGLE, "id": 0, "emoji": "forbidden"}))
        assert (await client.next())["code"] == "PERMISSION_DENIED"
        assert (await client.ask({"type": "ping", "id": 3}))["type"] == "pong"


async def test_a_failed_call_has_a_reason_and_a_time_to_retry(rig: Rig) -> None:
    async with rig.socket() as client, rig.socket(subprotocol=PROTO) as binary:
        error = await client.ask({**TOGGLE, "emoji": "limited"})
        assert error == {
            "type": "error",
            "id": 7,
            "code": "RESOURCE_EXHAUSTED",
            "reason": "RATE_LIMITED",
            "message": "too much",
            "retry_after_ms": 1250,
            "field": "emoji",
        }
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="limited").SerializeToString()
        answer = await binary.ask(pb.ClientFrame(id=1, call=pb.CallFrame(type="toggle_reaction", request=request)))
        assert (answer.error.code, answer.error.retry_after_ms, len(answer.error.details)) == (
            "RESOURCE_EXHAUSTED",
            1250,
            3,
        )


async def test_a_crash_of_a_service_reveals_no_detail(rig: Rig) -> None:
    async with rig.socket() as client:
        error = await client.ask({**TOGGLE, "emoji": "crash"})
        assert (error["code"], error["message"]) == ("INTERNAL", "internal error")


LONG = "x" * 60_000
BAD_FRAMES = {
    "not JSON": ("{", 0, "INVALID_FRAME", ""),
    "empty": ("", 0, "INVALID_FRAME", ""),
    "an array": ("[]", 0, "INVALID_FRAME", ""),
    "a string": ('"toggle_reaction"', 0, "INVALID_FRAME", ""),
    "two objects": ('{"type":"ping"}{"type":"ping"}', 0, "INVALID_FRAME", ""),
    "no type": ('{"id":5}', 5, "INVALID_FRAME", "type"),
    "type is a number": ('{"type":5,"id":5}', 5, "INVALID_FRAME", "type"),
    "unknown type": ('{"type":"dance","id":5}', 5, "UNKNOWN_TYPE", "type"),
    "a type of the server": ('{"type":"welcome","id":5}', 5, "UNKNOWN_TYPE", "type"),
    "two types": ('{"type":"ping","id":5,"type":"ping"}', 5, "INVALID_FRAME", "type"),
    "two ids": ('{"type":"ping","id":5,"id":6}', 6, "INVALID_FRAME", "id"),
    "NaN": ('{"type":"set_reaction","id":5,"on":NaN}', 5, "INVALID_FRAME", "on"),
    "infinite": ('{"type":"set_reaction","id":5,"on":1e999}', 5, "INVALID_FRAME", "on"),
    "deep": ('{"type":"ping","id":5,"seq":' + "[" * 60_000, 5, "INVALID_FRAME", "seq"),
    "deep before the type": ('{"id":5,"seq":' + "[" * 60_000, 5, "INVALID_FRAME", ""),
    "repeated key": ('{"type":"toggle_reaction","id":5,"emoji":"a","emoji":"b"}', 5, "INVALID_FRAME", "emoji"),
    "wrong type": ('{"type":"toggle_reaction","id":5,"emoji":7}', 5, "INVALID_FRAME", "emoji"),
    "number for truth": ('{"type":"set_reaction","id":5,"on":1}', 5, "INVALID_FRAME", "on"),
    "unknown field": ('{"type":"toggle_reaction","id":5,"usr":"bob"}', 5, "INVALID_FRAME", "usr"),
    "identity in the body": ('{"type":"toggle_reaction","id":5,"user":"bob"}', 5, "INVALID_FRAME", "user"),
    "huge id": ('{"type":"ping","id":18446744073709551616}', 0, "INVALID_FRAME", "id"),
    "thousands of digits": ('{"type":"ping","id":' + "9" * 5000 + "}", 0, "INVALID_FRAME", "id"),
    "negative id": ('{"type":"ping","id":-1}', 0, "INVALID_FRAME", "id"),
    "fractional id": ('{"type":"ping","id":1.5}', 0, "INVALID_FRAME", "id"),
    "huge number": ('{"type":"get_reactions","id":5,"min_version":1e30}', 5, "INVALID_FRAME", "min_version"),
    "beyond 64 bits": (
        '{"type":"get_reactions","id":5,"min_version":"9223372036854775808"}',
        5,
        "INVALID_FRAME",
        "min_version",
    ),
    "lone surrogate": ('{"type":"toggle_reaction","id":5,"emoji":"\\ud83d"}', 5, "INVALID_FRAME", "emoji"),
    "long string": (json.dumps({"type": "hello", "id": 5, "client": LONG}), 5, "INVALID_FRAME", "client"),
    "unknown enum": (
        '{"type":"batch_change_reactions","id":5,"changes":[{"target":"messages/1","action":"ACTION_DANCE"}]}',
        5,
        "INVALID_FRAME",
        "changes[0].action",
    ),
    "bad topic": ('{"type":"subscribe","id":5,"topics":["messages/1","*"]}', 5, "INVALID_FRAME", "topics[1]"),
    "no topics": ('{"type":"subscribe","id":5,"topics":[]}', 5, "INVALID_FRAME", "topics"),
    "bad device": ('{"type":"hello","id":5,"device":"a b"}', 5, "INVALID_FRAME", "device"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_a_bad_frame_gets_an_error_that_names_the_field_and_the_socket_stays(rig: Rig, name: str) -> None:
    payload, id_, reason, field = BAD_FRAMES[name]
    async with rig.socket() as client:
        error = await client.ask(payload)
        found = error["type"], error["id"], error["code"], error["reason"], error["field"]
        assert found == ("error", id_, "INVALID_ARGUMENT", reason, field)
        assert error["message"]
        assert (await client.ask({"type": "ping", "id": 2}))["type"] == "pong"


BAD_REQUESTS = {
    "no target": ({"emoji": "👍"}, "target"),
    "bad target": ({"target": "messages/../1", "emoji": "👍"}, "target"),
    "NUL in the target": ({"target": "messages/\0", "emoji": "👍"}, "target"),
    "long target": ({"target": "messages/" + "x" * 10_000, "emoji": "👍"}, "target"),
    "no emoji": ({"target": "messages/1"}, "emoji"),
    "bad operation": ({"target": "messages/1", "emoji": "👍", "op_id": "a b"}, "op_id"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_a_request_against_the_rules_is_refused_by_the_service(rig: Rig, name: str) -> None:
    request, field = BAD_REQUESTS[name]
    async with rig.socket() as client:
        error = await client.ask({"type": "toggle_reaction", "id": 5, **request})
        assert (error["type"], error["id"], error["code"], error["field"]) == ("error", 5, "INVALID_ARGUMENT", field)


CALL = pb.CallFrame(type="toggle_reaction", request=b"\x0a\xff")
BAD_BINARY = {
    "unknown call": (pb.ClientFrame(id=5, call=pb.CallFrame(type="dance")), "UNKNOWN_TYPE", "call.type"),
    "nothing": (pb.ClientFrame(id=5), "UNKNOWN_TYPE", "body"),
    "a body of the future": (pb.ClientFrame.FromString(b"\x08\x05\xfa\x3f\x00"), "UNKNOWN_TYPE", "body"),
    "truncated request": (pb.ClientFrame(id=5, call=CALL), "INVALID_FRAME", "call.request"),
    "bad topic": (pb.ClientFrame(id=5, subscribe=pb.Subscribe(topics=["*"])), "INVALID_FRAME", "topics[0]"),
    "many topics": (
        pb.ClientFrame(id=5, subscribe=pb.Subscribe(topics=[f"messages/{n}" for n in range(129)])),
        "INVALID_FRAME",
        "topics",
    ),
}


@pytest.mark.parametrize("name", BAD_BINARY)
async def test_a_bad_binary_frame_gets_an_error_and_the_socket_stays(rig: Rig, name: str) -> None:
    frame, reason, field = BAD_BINARY[name]
    async with rig.socket(subprotocol=PROTO) as client:
        answer = await client.ask(frame)
        error = answer.error
        assert (answer.id, error.code, error.reason, error.field) == (5, "INVALID_ARGUMENT", reason, field)
        assert (await client.ask(pb.ClientFrame(id=6, ping=session_pb.Ping()))).HasField("pong")


async def test_a_truncated_request_that_needs_no_routing_is_refused_by_the_service(rig: Rig) -> None:
    async with rig.socket(subprotocol=PROTO) as client:
        call = pb.CallFrame(type="get_own_reactions", request=b"\x0a\xff")
        answer = await client.ask(pb.ClientFrame(id=5, call=call))
        assert (answer.id, answer.error.code) == (5, "INVALID_ARGUMENT")


@pytest.mark.parametrize("payload", [b"\x08", b"\xff" * 20, b"\x12\x7f", b"\x13" * 200])
async def test_an_invalid_client_frame_closes_with_1007(rig: Rig, payload: bytes) -> None:
    async with rig.socket(subprotocol=PROTO) as client:
        await client.socket.send(payload)
        assert await client.closed() == 1007


async def test_text_on_the_binary_subprotocol_closes_with_1003_and_so_does_the_reverse(rig: Rig) -> None:
    async with rig.socket(subprotocol=PROTO) as binary, rig.socket() as text:
        await binary.socket.send("{}")
        await text.socket.send(b"\x08\x01")
        assert await binary.closed() == await text.closed() == 1003


@pytest.mark.parametrize("frame", [TOGGLE, {"type": "ping"}, {"type": "subscribe", "topics": ["messages/1"]}])
async def test_a_frame_before_hello_closes_with_4502(rig: Rig, frame: dict[str, Any]) -> None:
    async with rig.socket(hello=False) as client:
        await client.socket.send(json.dumps(frame))
        assert await client.closed() == 4502


async def test_a_second_hello_closes_with_4502(rig: Rig) -> None:
    async with rig.socket() as client:
        await client.socket.send('{"type":"hello"}')
        assert await client.closed() == 4502


async def test_a_large_message_before_hello_closes_with_1009(rig: Rig) -> None:
    async with rig.socket(hello=False) as client:
        await client.socket.send(json.dumps({"type": "hello", "client": "x" * 50_000}))
        assert await client.closed() == 1009


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 6000])
async def test_a_bad_token_closes_with_4500(rig: Rig, token: str) -> None:
    async with rig.socket(hello=False, headers={"Authorization": f"Bearer {token}"}) as client:
        assert await client.closed() == 4500


async def test_an_expired_token_closes_with_4500_and_a_service_with_4501(rig: Rig) -> None:
    expired = rig.token(ttl=-1)
    service = rig.keys.minter().mint_service("robot")
    async with (
        rig.socket(hello=False, headers={"Authorization": f"Bearer {expired}"}) as late,
        rig.socket(hello=False, headers={"Authorization": f"Bearer {service}"}) as robot,
    ):
        assert (await late.closed(), await robot.closed()) == (4500, 4501)


async def test_a_browser_sends_its_token_as_a_subprotocol(rig: Rig) -> None:
    socket = await connected(rig, JSON, f"bearer.{rig.token('gina')}")
    assert socket.subprotocol == JSON
    await socket.send('{"type":"hello","id":1}')
    assert json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT))["user"] == "gina"
    await socket.close()


async def test_without_a_subprotocol_json_is_used(rig: Rig) -> None:
    async with rig.socket() as client:
        assert client.socket.subprotocol == JSON
    headers = {"Authorization": f"Bearer {rig.token()}"}
    url = rig.http.replace("http", "ws") + "/ws/connect"
    async with connect(url, additional_headers=headers, compression=None, proxy=None) as socket:
        await socket.send('{"type":"hello","id":1}')
        assert json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT))["type"] == "welcome"


@pytest.mark.parametrize(("subprotocols", "query"), [(("chat",), ""), (("bearer.x",), ""), ((), "?token=x")])
async def test_malformed_handshakes_are_refused_with_400(rig: Rig, subprotocols: tuple[str, ...], query: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connected(rig, *subprotocols, query=query)
    assert caught.value.response.status_code == 400
