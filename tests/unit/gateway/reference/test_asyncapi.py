"""The AsyncAPI document: what it says of frames is what the codec reads and writes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast

import pytest
from google.protobuf import json_format
from jsonschema_rs import validator_for

from gateway.contracts.close_codes import CloseCode
from gateway.contracts.tables import message_class, read_tables
from gateway.frames.frame import Unreadable
from gateway.frames.json_frames import JsonFrames
from gateway.reference.asyncapi import asyncapi
from gateway.reference.comments import Comments
from gateway.reference.frames import FrameType, close_codes, frame_types
from kit.contracts import installed_contracts
from kit.rpc.validation import validate
from plaudit.gateway.v1 import frames_pb2

TABLES = read_tables()
COMMENTS = Comments([installed_contracts()])
FRAMES = frame_types(TABLES, COMMENTS)
CODEC = JsonFrames(TABLES)
HEAD = ("type", "id", "topic", "seq")
of_each = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)


@cache
def document() -> dict[str, Any]:
    return asyncapi(TABLES, [installed_contracts()], "1", "/ws/connect")


def written(frame: FrameType) -> Any:
    """The frame as the codec writes it, from the message of the example."""
    body = {name: value for name, value in frame.example.items() if name not in HEAD or frame.kind == "session"}
    kept = {name: value for name, value in body.items() if name not in ("type", "id")}
    message = json_format.ParseDict(kept, message_class(frame.message)())
    if frame.kind == "answer":
        assert frame.rpc is not None
        data = CODEC.ack(frame.example["id"], frame.rpc, message.SerializeToString())
    elif frame.kind == "push":
        data = CODEC.push(frame.example["topic"], frame.type, message.SerializeToString(), frame.example.get("seq", 0))
    elif "id" in frame.example:
        data = CODEC.answer(frame.example["id"], cast("Any", frame.type), message)
    else:
        data = CODEC.notice(cast("Any", frame.type), message)
    return json.loads(data[data.index(b"{") :])


@of_each
def test_the_codec_reads_or_writes_each_example(frame: FrameType) -> None:
    if not frame.from_client:
        assert written(frame) == frame.example
        return
    read = CODEC.read(json.dumps(frame.example).encode())
    assert not isinstance(read, Unreadable), read
    assert read.id == 1
    if frame.rpc is not None:
        validate(cast("Any", read).request)


@of_each
def test_an_example_fits_its_schema(frame: FrameType) -> None:
    schema = {**document()["components"]["messages"][frame.name]["payload"], "components": document()["components"]}
    problems = [error.message for error in validator_for(schema).iter_errors(frame.example)]
    assert problems == []


def test_every_frame_and_push_of_the_contracts_is_in_the_document() -> None:
    names = {frame.name for frame in FRAMES}
    assert TABLES.frames.keys() <= names
    assert TABLES.pushes.keys() <= names
    oneofs = (frames_pb2.ClientFrame.DESCRIPTOR, frames_pb2.ServerFrame.DESCRIPTOR)
    fields = {field.name for message in oneofs for field in message.oneofs_by_name["body"].fields}
    assert fields - {"call", "ack", "push"} <= names
    assert document()["operations"].keys() == names
    assert document()["channels"]["socket"]["messages"].keys() == names


def test_every_close_code_of_the_gateway_has_a_meaning() -> None:
    told = {code: meaning for code, _, meaning in close_codes(COMMENTS)}
    assert {int(code) for code in CloseCode} <= told.keys()
    assert all(told.values())
    assert document()["info"]["description"].startswith("What goes over a client's socket.")
    assert "`4504` REPLACED" in document()["info"]["description"]


def test_failures_of_frames_are_answered() -> None:
    messages = document()["components"]["messages"]
    assert "`FORBIDDEN_TOPIC`" in messages["subscribe"]["description"]
    assert "`ABORTED` OP_CONFLICT" in messages["toggle_reaction"]["description"]


@pytest.mark.parametrize("frame", [one for one in FRAMES if one.rpc and one.rpc.is_read], ids=lambda frame: frame.name)
def test_a_read_does_not_fail_as_changes_do(frame: FrameType) -> None:
    assert [one.reason for one in frame.failures(COMMENTS) if one.reason.startswith("OP_")] == []
    changes = [one for one in FRAMES if one.kind == "call" and one.rpc and "op_id" in one.rpc.request.fields_by_name]
    assert changes
    assert all("OP_CONFLICT" in {one.reason for one in change.failures(COMMENTS)} for change in changes)
