"""What the contracts promise the edge, checked on the descriptors themselves."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from itertools import combinations
from pathlib import Path

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions
from google.protobuf.descriptor_pool import Default

from gateway.contracts.path_template import parse_template
from plaudit.edge.v1 import options_pb2
from plaudit.gateway.v1 import frames_pb2

ROOT = Path(__file__).parents[3]
OF_THE_FRAME = {"type", "id", "topic", "seq"}
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
OPEN = (options_pb2.ACCESS_USER, options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_SCOPE)
VARIABLE = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")


def _files() -> list[FileDescriptor]:
    names = [
        file.name
        for file in FileDescriptorSet.FromString((ROOT / "gen" / "plaudit" / "plaudit.protoset").read_bytes()).file
        if file.name.startswith("plaudit/")
    ]
    for name in names:
        import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return [Default().FindFileByName(name) for name in names]


FILES = _files()
METHODS = [method for file in FILES for service in file.services_by_name.values() for method in service.methods]
FRAMES = [method for method in METHODS if method.GetOptions().HasExtension(options_pb2.frame)]
PUSHES = [
    message
    for file in FILES
    for message in file.message_types_by_name.values()
    if message.GetOptions().HasExtension(options_pb2.push)
]


def name_of(described: MethodDescriptor | Descriptor) -> str:
    return described.full_name


def frame_of(method: MethodDescriptor) -> options_pb2.FrameRule:
    rule: options_pb2.FrameRule = method.GetOptions().Extensions[options_pb2.frame]
    return rule


def access_of(method: MethodDescriptor) -> int:
    access: int = method.GetOptions().Extensions[options_pb2.access]
    return access


def routes_of(method: MethodDescriptor) -> list[tuple[str, str, http_pb2.HttpRule]]:
    """(verb, path template, rule) of an rpc's routes, the additional ones too."""
    if not method.GetOptions().HasExtension(annotations_pb2.http):
        return []
    first = method.GetOptions().Extensions[annotations_pb2.http]
    routes = []
    for rule in (first, *first.additional_bindings):
        verb = rule.WhichOneof("pattern")
        path = rule.custom.path if verb == "custom" else getattr(rule, verb)
        routes.append((rule.custom.kind if verb == "custom" else verb.upper(), path, rule))
    return routes


ROUTED = [method for method in METHODS if routes_of(method)]


def segments_of(path: str) -> list[str]:
    """A template's segments, its variables written out."""
    return VARIABLE.sub(lambda found: found[2] or "*", path).split("/")


def overlap(one: str, other: str) -> bool:
    """Whether a path could match both templates."""
    ours, theirs = segments_of(one), segments_of(other)
    return len(ours) == len(theirs) and all(a == b or "*" in (a, b) for a, b in zip(ours, theirs, strict=True))


def field_at(message: Descriptor, path: str) -> FieldDescriptor | None:
    """The field a dotted path names."""
    field: FieldDescriptor | None = None
    inner: Descriptor | None = message
    for name in path.split("."):
        field = inner.fields_by_name.get(name) if inner is not None else None
        if field is None:
            return None
        inner = field.message_type
    return field


def test_the_contracts_are_not_empty() -> None:
    assert len(METHODS) >= 18
    assert len(FRAMES) >= 8
    assert len(ROUTED) >= 6
    assert PUSHES


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_rpc_declares_its_allowed_callers(method: MethodDescriptor) -> None:
    assert access_of(method) in options_pb2.Access.values()
    assert access_of(method) != options_pb2.ACCESS_UNSPECIFIED


@pytest.mark.parametrize("method", FRAMES, ids=name_of)
def test_an_rpc_that_is_a_frame_is_one_call_of_a_user(method: MethodDescriptor) -> None:
    assert not method.client_streaming
    assert not method.server_streaming
    assert access_of(method) in OPEN
    assert SNAKE.fullmatch(frame_of(method).type)


@pytest.mark.parametrize("method", FRAMES, ids=name_of)
def test_no_field_of_a_frames_call_or_answer_is_named_like_a_field_of_the_frame(method: MethodDescriptor) -> None:
    for message in (method.input_type, method.output_type):
        assert not {field.name for field in message.fields} & OF_THE_FRAME


@pytest.mark.parametrize("message", PUSHES, ids=name_of)
def test_no_field_of_a_push_is_named_like_a_field_of_the_frame(message: Descriptor) -> None:
    assert not {field.name for field in message.fields} & OF_THE_FRAME
    assert SNAKE.fullmatch(message.GetOptions().Extensions[options_pb2.push])


@pytest.mark.parametrize("method", FRAMES, ids=name_of)
def test_a_frame_is_routed_by_the_user_or_by_a_text_of_its_request(method: MethodDescriptor) -> None:
    route_by = frame_of(method).route_by
    if route_by not in ("", "user"):
        field = field_at(method.input_type, route_by)
        assert field is not None
        assert field.type == FieldDescriptor.TYPE_STRING
        assert not field.is_repeated


def test_frame_types_are_unique_and_none_is_a_reserved_name_of_the_protocol() -> None:
    calls = Counter(frame_of(method).type for method in FRAMES)
    pushes = Counter(message.GetOptions().Extensions[options_pb2.push] for message in PUSHES)
    assert set(calls.values()) == {1}
    assert set(pushes.values()) == {1}
    assert not calls.keys() & set(_body("ClientFrame"))
    assert not pushes.keys() & set(_body("ServerFrame"))


def _body(frame: str) -> list[str]:
    message = frames_pb2.DESCRIPTOR.message_types_by_name[frame]
    return [field.name for field in message.oneofs_by_name["body"].fields]


def test_one_of_two_routes_that_match_a_request_is_more_specific() -> None:
    """Then its rank says which of them is served; tests of the gateway and of Envoy show that both follow it."""
    routes = [(verb, path) for method in METHODS for verb, path, _ in routes_of(method)]
    assert not [path for _, path in routes if "**" in path], "the check below does not know it"
    for (verb, path), (other_verb, other_path) in combinations(routes, 2):
        if verb == other_verb and overlap(path, other_path):
            assert parse_template(path).rank != parse_template(other_path).rank, (path, other_path)


@pytest.mark.parametrize("method", ROUTED, ids=name_of)
def test_a_route_names_fields_that_exist_and_no_field_twice(method: MethodDescriptor) -> None:
    for verb, path, rule in routes_of(method):
        assert path.startswith("/api/")
        variables = [found[1] for found in VARIABLE.finditer(path)]
        assert len(variables) == len(set(variables))
        for variable in variables:
            field = field_at(method.input_type, variable)
            assert field is not None, variable
            assert field.message_type is None
            assert not field.is_repeated
        if rule.body not in ("", "*"):
            assert rule.body in method.input_type.fields_by_name
            assert rule.body not in variables
        assert not (rule.body and verb in ("GET", "DELETE")), "what has no body cannot be read from it"


@pytest.mark.parametrize("method", ROUTED, ids=name_of)
def test_rpcs_with_routes_are_unary_calls_of_users_and_only_reads_are_gets(method: MethodDescriptor) -> None:
    assert not method.client_streaming
    assert access_of(method) in OPEN
    reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    for verb, _, _ in routes_of(method):
        assert verb != "GET" or reads


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_package_is_its_directory_and_its_names_are_in_snake_case(file: FileDescriptor) -> None:
    assert file.package == file.name.rpartition("/")[0].replace("/", ".")
    for message in file.message_types_by_name.values():
        for field in message.fields:
            assert SNAKE.fullmatch(field.name), field.full_name
