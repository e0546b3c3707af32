"""Frames in JSON: keys in any order, names of fields, ids, and answers to texts that are no frames."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contracts.tables import message_class, read_tables
from gateway.frames.frame import Acknowledge, Call, Hello, Ping, Subscribe, Unreadable
from gateway.frames.json_frames import JsonFrames
from plaudit.gateway.v1 import session_frames_pb2 as pb
from plaudit.message.v1 import updates_pb2
from tests.unit.gateway.json_texts import ANY_JSON


@pytest.fixture(name="frames", scope="module")
def fixture_frames() -> JsonFrames:
    return JsonFrames(read_tables())


def test_a_call_is_read_in_any_order_of_its_keys(frames: JsonFrames) -> None:
    tables = read_tables()
    frames = JsonFrames(tables)
    frame = frames.read('{"emoji":"👍","target":"messages/42","id":"7","type":"toggle_reaction"}'.encode())
    rpc = tables.frames["toggle_reaction"]
    request = message_class(rpc.request)(target="messages/42", emoji="👍")
    assert frame == Call(7, rpc, request, "messages/42")


def test_a_frame_accepts_both_names_of_a_field_but_not_a_name_of_the_frame(frames: JsonFrames) -> None:
    both = [
        frames.read(f'{{"type":"list_reactors","id":1,"target":"posts/1",{more}}}'.encode())
        for more in ('"page_size":5,"page_token":"x"', '"limit":5.0,"cursor":"x"')
    ]
    assert isinstance(both[0], Call)
    assert both[0] == both[1]
    # The JSON name of `emoji` is `type` there.
    assert isinstance(frames.read(b'{"type":"list_reactors","id":1,"target":"posts/1","emoji":"wow"}'), Call)


@pytest.mark.parametrize("text", ["9007199254740993", '"9007199254740993"', '"9007199254740993.0"'])
def test_an_id_that_javascript_cannot_represent_is_answered_as_a_string(frames: JsonFrames, text: str) -> None:
    frame = frames.read(f'{{"type":"ping","id":{text}}}'.encode())
    assert isinstance(frame, Ping)
    assert frame.id == 9007199254740993
    assert b'"id":"9007199254740993"' in frames.answer(frame.id, "pong", pb.Pong())
    assert b'"id":9007199254740991,' in frames.answer(9007199254740991, "pong", pb.Pong())


def test_frames_of_the_session_are_read(frames: JsonFrames) -> None:
    assert frames.read(b'{"type":"hello","id":1,"device":"phone"}') == Hello(1, "phone", "")
    assert frames.read(b'{"type":"subscribe","id":2,"topics":["messages/1","messages/1"]}') == Subscribe(
        2, ("messages/1",)
    )


@given(st.from_regex(r'\A\{"type":"ack","seq": ?"?[0-9]{1,20}"?\}\Z'))
@example('{"type":"ack","seq":"17"}')
@example('{"type":"ack","seq":0}')
@example('{"type":"ack","seq":017}')
@example('{"type":"ack","seq":"17}')
@example('{"type":"ack","seq":99999999999999999999}')
def test_an_ack_is_the_same_however_it_is_written(frames: JsonFrames, text: str) -> None:
    other = frames.read(text.replace("{", "{ ").encode())
    assert frames.read(text.encode()) == other
    assert isinstance(other, Acknowledge | Unreadable)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=64) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
@example(b'{"id":7,"x":' + b"[" * 60_000)
@example(b'{"type":"hello","id":' + b"9" * 60_000 + b"}")
@example(b'{"type":"hello","id":18446744073709551616}')
def test_every_malformed_text_is_answered(payload: bytes) -> None:
    frame = FRAMES.read(payload)
    assert isinstance(frame, Unreadable)
    assert frame.fault.code == "INVALID_ARGUMENT"
    assert 0 <= frame.id < 1 << 64


FRAMES = JsonFrames(read_tables())


def test_a_push_of_many_sessions_has_the_topic_and_number_of_each(frames: JsonFrames) -> None:
    payload = updates_pb2.NewMessage(message_id="m", content='"quoted"').SerializeToString()
    other = updates_pb2.NewMessage(message_id="n").SerializeToString()
    read = [
        json.loads(payload_of(frames.push(*push)))
        for push in (
            ("users/a", "new_message", payload, 1),
            ("users/b", "new_message", payload, 7),
            ("", "new_message", other),
            ("users/b", "new_message", payload, 8),
            ("users/c", "new_message", b"", 2),
            ("users/c", "receipt", b"", 3),
        )
    ]
    heads = [(one["type"], one.get("topic"), one.get("seq"), one["message_id"]) for one in read]
    assert heads == [
        ("new_message", "users/a", 1, "m"),
        ("new_message", "users/b", 7, "m"),
        ("new_message", None, None, "n"),
        ("new_message", "users/b", 8, "m"),
        ("new_message", "users/c", 2, ""),
        ("receipt", "users/c", 3, ""),
    ]
    assert read[0]["content"] == '"quoted"'


def payload_of(frame: bytes) -> bytes:
    """The payload of a server's frame below 64 KiB."""
    return frame[2:] if frame[1] < 126 else frame[4:]
