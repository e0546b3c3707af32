"""The subprotocol `plaudit.v1.json`: every message is one flat object, whose `type` names the call or the push."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import DecodeError, Message
from msgspec import UNSET, UnsetType

from gateway.contracts.tables import BY_USER, RESERVED, Rpc, Tables, message_class
from gateway.frames.frame import Acknowledge, Answer, Call, Fault, Frame, Notice, Unreadable, invalid, session_frame
from gateway.json_codec.errors import INVALID_VALUE, REFUSALS, BadJson, check_keys, explain
from gateway.json_codec.reader import shape_of
from gateway.json_codec.values import whole
from gateway.json_codec.writer import writer_of
from gateway.websocket.rfc6455 import TEXT, encode_frame, encode_parts
from kit.rpc.service_call import Payload, message_of
from plaudit.gateway.v1 import frames_pb2 as pb

_MAX_ID = (1 << 64) - 1
# The largest integer that JavaScript, and other readers with doubles, represent exactly.
_MAX_NUMBER = (1 << 53) - 1
_AN_ID = re.compile(rb'"id"\s*:\s*"?([0-9]{1,20})\b')
# What most frames are to a client that only receives, as all clients here write it: read without building a message.
_PLAIN_ACK = re.compile(rb'\{"type":"ack","seq":("?)(0|[1-9][0-9]{0,17})\1\}')
_encode = msgspec.json.Encoder().encode


class _Kind(NamedTuple):
    """How one frame type is read."""

    name: str
    rpc: Rpc | None
    build: Callable[[Any], tuple[Message, int]]


class JsonFrames:
    """See `frames.frame.Frames`."""

    subprotocol = "plaudit.v1.json"
    is_text = True

    def __init__(self, tables: Tables) -> None:
        self._kinds: dict[type, _Kind] = {}
        bodies = {field.name: field.message_type for field in pb.ClientFrame.DESCRIPTOR.oneofs_by_name["body"].fields}
        del bodies["call"]
        for name, body in bodies.items():
            assert body is not None
            # The messages of the session are those of the stubs, not of the pool of the tables.
            self._add(name, body, None)
        for name, rpc in tables.frames.items():
            self._add(name, rpc.request, rpc)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(reduce(or_, self._kinds)).decode
        self._responses = {
            rpc.method: (message_class(rpc.response), writer_of(rpc.response)) for rpc in tables.frames.values()
        }
        self._pushes = {
            kind: (message_class(message).FromString, writer_of(message)) for kind, message in tables.pushes.items()
        }
        # The last push, and the JSON of its type and of its fields without the outer braces: it may go to many
        # sessions, each with its own topic and number.
        self._last_push: tuple[str, bytes, bytes, bytes] = ("", b"", b"", b"")

    def _add(self, name: str, body: Any, rpc: Rpc | None) -> None:
        shape = shape_of(body, reserved=RESERVED)
        columns = [("id", int | float | str | None | UnsetType, UNSET), *shape.columns]
        struct = msgspec.defstruct(body.name, columns, tag_field="type", tag=name, forbid_unknown_fields=True, gc=False)
        self._kinds[struct] = _Kind(name, rpc, shape.build)

    def read(self, payload: bytes) -> Frame:
        """See `frames.frame.Frames`. Never raises: a text message can be answered."""
        ack = _PLAIN_ACK.fullmatch(payload)
        if ack is not None:
            return Acknowledge(0, int(ack[2]))
        try:
            return self._read(payload)
        except BadJson as error:
            fault = invalid(error.message, error.field)
        except REFUSALS as error:
            fault = _fault(explain(payload, error))
        return Unreadable(_find_id(payload), fault)

    def _read(self, payload: bytes) -> Frame:
        struct = self._decode(payload)
        name, rpc, build = self._kinds[struct.__class__]
        message, keys = build(struct)
        id = struct.id
        if id is UNSET:
            id = 0
            keys += 1
        else:
            keys += 2
            if id.__class__ is not int or not 0 <= id <= _MAX_ID:
                id = _checked_id(id)
        # As many colons as keys: no key is repeated. More: a string has colons, or the slow check finds the fault.
        if keys != payload.count(b":"):
            check_keys(payload)
        if rpc is None:
            return session_frame(id, name, message)
        route_by = rpc.route_by
        key = None if route_by == BY_USER else getattr(message, route_by) if route_by else ""
        return Call(id, rpc, message, key)

    def ack(self, id: int, rpc: Rpc, response: Payload) -> bytes:
        """See `frames.frame.Frames`."""
        kind, write = self._responses[rpc.method]
        try:
            message = message_of(kind, response)
        except DecodeError:
            raise ValueError(f"the response is not a {rpc.response.name}") from None
        return encode_frame(TEXT, _encode({"type": "ack", "id": _id(id), **write(message)}))

    def push(self, topic: str, kind: str, payload: bytes, seq: int = 0) -> bytes:
        """See `frames.frame.Frames`."""
        last_kind, last_payload, head, fields = self._last_push
        if payload is not last_payload or kind != last_kind:
            fields = self._push_fields(kind, payload)
            head = _encode({"type": kind})[:-1]
            self._last_push = (kind, payload, head, fields)
        if topic:
            head = b'%b,"topic":%b' % (head, _encode(topic))
        if seq:
            head = b'%b,"seq":%d' % (head, seq)
        return encode_parts(TEXT, head, fields)

    def _push_fields(self, kind: str, payload: bytes) -> bytes:
        try:
            parse, write = self._pushes[kind]
            message = parse(payload)
        except (KeyError, DecodeError):
            raise ValueError(f"{kind!r} is no push that is known here, or its message cannot be read") from None
        fields = _encode(write(message))[1:]
        return b"," + fields if len(fields) > 1 else fields

    def answer(self, id: int, kind: Answer, message: Message) -> bytes:
        """See `frames.frame.Frames`."""
        return encode_frame(TEXT, _encode({"type": kind, "id": _id(id), **_body(message)}))

    def notice(self, kind: Notice, message: Message) -> bytes:
        """See `frames.frame.Frames`."""
        return encode_frame(TEXT, _encode({"type": kind, **_body(message)}))


def _body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = writer_of(message.DESCRIPTOR)(message)
    if isinstance(message, pb.Error):
        del body["details"]
    return body


def _fault(error: BadJson) -> Fault:
    # The only value that can be invalid, apart from its type, is that of the tag.
    if error.field == "type" and error.message == INVALID_VALUE:
        return invalid("there is no such frame; /asyncapi.json has all there are", "type", "UNKNOWN_TYPE")
    return invalid(error.message, error.field)


def _id(id: int) -> int | str:
    """Large ids as strings, as in protobuf's JSON: as numbers they could be read as another id."""
    return id if id <= _MAX_NUMBER else str(id)


def _checked_id(id: float | str | None) -> int:
    if id is None:
        return 0
    try:
        number = whole(id)
    except BadJson as error:
        raise error.within("id") from None
    if not 0 <= number <= _MAX_ID:
        raise BadJson(f"the id is not between 0 and {_MAX_ID}", "id")
    return number


def _find_id(payload: bytes) -> int:
    """The id of a message that is not a frame, where one can be found: the client may wait for the answer."""
    try:
        envelope = json.loads(payload)
        id = envelope.get("id", 0) if isinstance(envelope, dict) else 0
        return _checked_id(id) if isinstance(id, int | float | str) and not isinstance(id, bool) else 0
    except BadJson:
        return 0
    except (ValueError, RecursionError):
        found = _AN_ID.search(payload)
        return min(int(found[1]), _MAX_ID) if found else 0
