"""The sizes of the largest requests of the contracts, to which the limits of the port are raised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from gateway.contracts.tables import Route, Tables
from gateway.limits import SocketLimits
from plaudit.gateway.v1 import session_frames_pb2 as session_pb

LONGEST_LINE = 112 * 1024
"""The longest request line in bytes; longer requests use the body of a POST."""
OTHER_FIELDS = 8 * 1024
"""Bytes of a request head after its first line."""

_F = FieldDescriptor
_COUNTED = re.compile(r"\{(?:\d*,)?(?P<most>\d+)\}")
_UNCOUNTED = re.compile(r"[\])][+*]")
# The length of a part of a name whose rule has no number; and of a whole name without a rule, `collection/id`.
_PART = 16
_NAME = _PART + 1 + 64
_ESCAPED_JSON = 6  # \u0000
_ESCAPED_URL = 3  # %00
_DIGITS = {_F.TYPE_BOOL: 5, _F.TYPE_DOUBLE: 24, _F.TYPE_FLOAT: 24}
_LONG = 20
_OPENING = {"hello": session_pb.Hello.DESCRIPTOR, "resume": session_pb.Resume.DESCRIPTOR}
_SEPARATORS = len('"": , ')


def fitted(limits: SocketLimits, tables: Tables) -> SocketLimits:
    """The limits of a port, raised to the largest requests of the contracts."""
    opening = [largest_frame(name, message) for name, message in _OPENING.items()]
    frames = [largest_frame(name, rpc.request) for name, rpc in tables.frames.items()]
    lines = [line for line in map(largest_line, tables.routes) if line <= LONGEST_LINE]
    return replace(
        limits,
        head_bytes=max(limits.head_bytes, OTHER_FIELDS + max(lines, default=0)),
        first_message=max(limits.first_message, *opening),
        message=max(limits.message, *opening, *frames),
    )


def largest_body(routes: Iterable[Route]) -> int:
    """Bytes of the largest body of these routes."""
    return max((largest_json(route.rpc.request) for route in routes if route.body), default=0)


def largest_frame(name: str, message: Descriptor) -> int:
    """Bytes of the largest JSON frame of a type; a binary one is smaller."""
    return len('{"type": "", "id": ""') + len(name) + _LONG + largest_json(message)


def largest_line(route: Route) -> int:
    """Bytes of the longest request line of a route."""
    size = len(f"{route.verb} {route.template.text}? HTTP/1.1")
    for field in route.rpc.request.fields:
        longest = _in_url(field)
        if field.name in route.template.variables:
            size += longest
        elif not route.body:
            size += _items(field) * (max(len(field.name), len(field.json_name)) + len("=&") + longest)
    return size


@cache
def largest_json(message: Descriptor) -> int:
    """Bytes of the largest object of a message as JSON, with every character escaped."""
    return len("{}") + sum(_field_in_json(field) for field in message.fields)


@cache
def most_parameters(message: Descriptor) -> int:
    """The number of parameters of the longest query."""
    return sum(_items(field) for field in message.fields)


def _field_in_json(field: FieldDescriptor) -> int:
    size = max(len(field.name), len(field.json_name)) + _SEPARATORS
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return size + len("{}") + _map_in_json(field)
    if field.message_type is not None:
        one = largest_json(field.message_type)
    elif field.type in (_F.TYPE_STRING, _F.TYPE_BYTES):
        size_in_bytes, is_plain = _text(field)
        one = len('""') + size_in_bytes * (1 if is_plain else _ESCAPED_JSON)
    else:
        one = len('""') + _scalar(field)
    return size + (len("[]") + _items(field) * (one + len(", ")) if field.is_repeated else one)


def _map_in_json(field: FieldDescriptor) -> int:
    """Bytes of the pairs of a map of texts."""
    rules = rules_of(field).map
    most = sum(part.string.max_bytes or part.string.max_len * 4 or _NAME for part in (rules.keys, rules.values))
    return int(rules.max_pairs or 1) * (len('"": "", ') + most * _ESCAPED_JSON)


def _in_url(field: FieldDescriptor) -> int:
    if field.type in (_F.TYPE_STRING, _F.TYPE_BYTES):
        size, is_plain = _text(field)
        # A plain text has at most one slash and one comma.
        return size + 2 * (_ESCAPED_URL - 1) if is_plain else size * _ESCAPED_URL
    return _scalar(field)


def _scalar(field: FieldDescriptor) -> int:
    if field.enum_type is not None:
        return max(len(value.name) for value in field.enum_type.values)
    return _DIGITS.get(field.type, _LONG)


def _text(field: FieldDescriptor) -> tuple[int, bool]:
    """The maximum bytes of a text by its rule, and whether all its characters are written unescaped."""
    rules = rules_of(field)
    if field.type == _F.TYPE_BYTES:
        return -(-rules.bytes.max_len // 3) * 4, True  # base64
    text = rules.repeated.items.string if field.is_repeated else rules.string
    if text.max_bytes or text.max_len:
        return text.max_bytes or text.max_len * 4, False
    if text.pattern:
        counted = sum(int(found["most"]) for found in _COUNTED.finditer(text.pattern))
        return counted + _PART * len(_UNCOUNTED.findall(text.pattern)) + text.pattern.count("/"), True
    return _NAME, True


def _items(field: FieldDescriptor) -> int:
    return int(rules_of(field).repeated.max_items) or 1 if field.is_repeated else 1
