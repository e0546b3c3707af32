"""Every request of the contracts in JSON, compared with the library's own `json_format`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contracts.tables import message_class, read_tables
from gateway.json_codec.errors import BadJson
from gateway.json_codec.reader import JsonReader

_F = FieldDescriptor
_TABLES = read_tables()
_CALLS = {rpc.method: rpc for rpc in (*_TABLES.frames.values(), *(route.rpc for route in _TABLES.routes))}
REQUESTS = {rpc.request.full_name: rpc.request for rpc in _CALLS.values()}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.one_of(
    st.integers(-(1 << 65), 1 << 65),
    st.integers(-5, 5).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e2, -0.0, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, 1 << 64]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    TEXT,
    NUMBERS,
    NUMBERS.map(str),
    st.sampled_from(["1e2", "1E+2", "-1.0", "NaN", "Infinity", "true", "", "-_8", "+/8=", "YQ", "YQ=="]),
    st.sampled_from(["ACTION_ADD", "ACTION_NONE", "2", 2, 2.0, 99]),
    st.sampled_from(["1970-01-01T00:00:00Z", "3.5s"]),
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@st.composite
def objects(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> dict[str, Any]:
    """A JSON object that names some fields of a message, in either name, with values of every form and type."""
    made: dict[str, Any] = {}
    fields = list(descriptor.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=4, unique=True)) if fields else ():
        name = draw(st.sampled_from([field.name, field.json_name]))
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            made[name] = draw(st.dictionaries(TEXT, SCALARS, max_size=3) | SCALARS)
            continue
        one = objects(message, depth + 1) if message is not None and depth < 3 else SCALARS
        value = st.lists(one, max_size=2) | st.none() if field.is_repeated else one
        made[name] = draw(st.one_of(value, SCALARS) if draw(st.integers(0, 9)) == 0 else value)
    return made


def is_documented(descriptor: Descriptor, value: Any) -> bool:
    """Whether what is asked has a form that `json_format` reads as Python does, and we as JSON has it."""
    if not isinstance(value, dict):
        return False
    names = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    for name, given_ in value.items():
        field = names[name]
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            # A number for a text is read by some versions of the library.
            if isinstance(given_, dict) and any(not isinstance(each, str) for each in given_.values()):
                return True
            continue
        for item in given_ if isinstance(given_, list) else (given_,):
            if field.enum_type is not None and _is_no_int32(item):
                # The library cuts it down to 32 bits, or to an integer.
                found = True
            elif field.message_type is not None:
                found = is_documented(field.message_type, item)
            elif isinstance(item, bool):
                # Python's own: True is 1.
                found = field.type != _F.TYPE_BOOL
            elif not isinstance(item, str):
                # A number for a text is read by some versions of the library.
                found = field.type in (_F.TYPE_STRING, _F.TYPE_BYTES) or _is_inexact(item)
            elif field.type == _F.TYPE_BYTES:
                found = _BASE64.fullmatch(item) is None or len(item.rstrip("=")) % 4 == 1
            else:
                # `+1`, `1_000`, ` 1`, digits of other scripts: what Python reads as a number.
                is_number = _NUMBER.fullmatch(item) is not None
                # Of `9007199254740993.0` the library makes a double, we do not.
                is_inexact = is_number and not item.lstrip("-").isdecimal() and _is_inexact(float(item))
                found = field.type not in (_F.TYPE_STRING, _F.TYPE_BOOL) and (not is_number or is_inexact)
            if found:
                return True
    return False


def _is_no_int32(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None and abs(float(value)) >= 1 << 31
    return isinstance(value, int | float) and (value != value // 1 or abs(value) >= 1 << 31)


def _is_inexact(number: float) -> bool:
    return isinstance(number, float) and abs(number) > 1 << 53


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_request_is_read_as_json_format_reads_it(name: str) -> None:
    descriptor = REQUESTS[name]
    reader = JsonReader(descriptor)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(objects(descriptor))
    def compare(asked: dict[str, Any]) -> None:
        text = json.dumps(asked)
        try:
            expected = json_format.Parse(text, message_class(descriptor)())
        except (json_format.ParseError, ValueError, TypeError, AttributeError):
            expected = None
        try:
            found = reader.read(text.encode())
        except BadJson:
            found = None
        assert found == expected or is_documented(descriptor, asked)

    compare()


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_both_names_of_every_field_are_read(name: str) -> None:
    descriptor = REQUESTS[name]
    for field in descriptor.fields:
        values = {_F.TYPE_STRING: "a", _F.TYPE_BOOL: True, _F.TYPE_BYTES: "YQ==", _F.TYPE_MESSAGE: {}}
        value: Any = values.get(field.type, 1)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        value = {"a": "b"} if is_map else [value] if field.is_repeated else value
        found = [
            JsonReader(descriptor).read(json.dumps({key: value}).encode()) for key in (field.name, field.json_name)
        ]
        assert found[0] == found[1]
        assert [each for each, _ in found[0].ListFields()] == [field]
