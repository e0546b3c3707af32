"""The largest request of every rpc fits the limits of every interface."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from gateway.config import Config
from gateway.contracts.sizes import (
    OTHER_FIELDS,
    fitted,
    largest_body,
    largest_frame,
    largest_json,
    largest_line,
    most_parameters,
)
from gateway.contracts.tables import Route, read_tables
from gateway.limits import SocketLimits
from kit.limits.server_limits import ServerLimits
from kit.target import COLLECTIONS
from plaudit.gateway.v1 import frames_pb2
from stack.envoy.model import Limits
from tests.unit.gateway.contracts.largest import largest

TABLES = read_tables()
LIMITS = fitted(SocketLimits(), TABLES)
CALLS = {rpc.method: rpc for rpc in (*TABLES.frames.values(), *(route.rpc for route in TABLES.routes))}


def text_of(message: Message) -> bytes:
    """As the most wasteful of clients writes it: every character escaped that JSON lets one escape, and spaces."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return json.dumps(fields, ensure_ascii=True).encode()


@pytest.mark.parametrize("method", CALLS)
def test_the_estimate_is_not_below_the_written_size(method: str) -> None:
    request = CALLS[method].request
    assert len(text_of(largest(request))) <= largest_json(request)


@pytest.mark.parametrize("name", TABLES.frames)
def test_the_largest_call_fits_into_a_frame_of_either_kind(name: str) -> None:
    request = TABLES.frames[name].request
    message = largest(request)
    written = {"type": name, "id": (1 << 64) - 1, **json.loads(text_of(message))}
    assert len(json.dumps(written)) <= largest_frame(name, request) <= LIMITS.message
    call = frames_pb2.CallFrame(type=name, request=message.SerializeToString())
    assert frames_pb2.ClientFrame(id=(1 << 64) - 1, call=call).ByteSize() <= LIMITS.message


@pytest.mark.parametrize("name", ["hello", "resume", "subscribe", "unsubscribe", "ping"])
def test_the_largest_frame_of_the_session_fits(name: str) -> None:
    body = frames_pb2.ClientFrame.DESCRIPTOR.fields_by_name[name].message_type
    assert body is not None
    message = largest(body)
    limit = LIMITS.first_message if name in ("hello", "resume") else LIMITS.message
    assert len(json.dumps({"type": name, "id": (1 << 64) - 1, **json.loads(text_of(message))})) <= limit


@pytest.mark.parametrize("method", CALLS)
def test_the_largest_request_fits_into_a_message_of_grpc(method: str) -> None:
    assert largest(CALLS[method].request).ByteSize() <= ServerLimits().message_bytes


ROUTES = [routes for method in CALLS if (routes := [route for route in TABLES.routes if route.rpc.method == method])]


@pytest.mark.parametrize("routes", ROUTES, ids=lambda routes: routes[0].rpc.method)
def test_the_largest_request_fits_through_a_route(routes: list[Route]) -> None:
    """Through the line of one without a body, or into the body of one that has one; Envoy takes the same."""
    body = max(Config().body, largest_body(TABLES.routes))
    fits = [
        largest_json(route.rpc.request) <= min(body, Limits().request_bytes)
        if route.body
        else OTHER_FIELDS + largest_line(route) <= min(LIMITS.head_bytes, Limits().header_kilobytes * 1024)
        for route in routes
    ]
    assert any(fits), "bind it to POST, too"


def test_a_bulk_read_of_targets_only_fits_into_the_request_line_of_a_get() -> None:
    longest = max(map(len, COLLECTIONS)) + len("%2F") + 64
    for route in TABLES.routes:
        if route.verb == "GET" and "targets" in route.rpc.request.fields_by_name:
            line = f"GET {route.template.text}?" + "&".join(["targets=" + "x" * longest] * 1000) + " HTTP/1.1"
            assert len(line) + OTHER_FIELDS <= LIMITS.head_bytes
            assert most_parameters(route.rpc.request) >= 1000


def test_a_larger_contract_raises_the_limits_and_a_smaller_one_does_not_lower_them() -> None:
    small = SocketLimits(message=1 << 20, first_message=1 << 19, head_bytes=1 << 18)
    assert fitted(small, TABLES) == small
    assert LIMITS.message > SocketLimits().message
