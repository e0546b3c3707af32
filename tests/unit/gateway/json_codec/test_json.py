"""JSON in and out, with the library's own `json_format` as the oracle."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contracts.tables import message_class, read_tables
from gateway.json_codec.errors import BadJson
from gateway.json_codec.reader import JsonReader
from gateway.json_codec.writer import writer_of
from tests.unit.gateway.json_texts import ANY_JSON, TEXT
from tests.unit.gateway.protos import compile_proto

SOURCE = """
syntax = "proto3";
package zoo.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "plaudit/edge/v1/options.proto";
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; COLOUR_BLUE = -2; }
message Leaf { string text = 1; int64 long = 2; }
message Everything {
  string text = 1; bool flag = 2; bytes data = 3; double real = 4; float small = 5; Colour colour = 6;
  int32 i32 = 7; sint32 s32 = 8; uint32 u32 = 9; fixed32 f32 = 10; sfixed32 sf32 = 11;
  int64 i64 = 12; sint64 s64 = 13; uint64 u64 = 14; fixed64 f64 = 15; sfixed64 sf64 = 16;
  repeated string texts = 20; repeated int64 longs = 21; repeated bool flags = 22; repeated Colour colours = 23;
  repeated double reals = 24; repeated bytes blobs = 25; repeated Leaf leaves = 26;
  Leaf leaf = 30; Everything self = 31; repeated Everything selves = 32;
  map<string, int64> numbers = 40; map<int32, Leaf> grown = 41; map<bool, string> sides = 42;
  map<string, Everything> zoo = 43;
  oneof choice { string word = 50; int64 number = 51; Leaf branch = 52; }
  optional string maybe = 60; optional int64 perhaps = 61;
  google.protobuf.Timestamp at = 70; google.protobuf.Duration lasted = 71; google.protobuf.StringValue wrapped = 72;
  string from = 80; string two_words = 81; Leaf two_leaves = 82; int64 renamed = 83 [json_name = "another"];
}
service Zoo {
  rpc Visit(Everything) returns (Everything) {
    option (plaudit.edge.v1.access) = ACCESS_USER;
    option (plaudit.edge.v1.frame) = {type: "visit"};
  }
}
"""


@pytest.fixture(name="zoo", scope="module")
def fixture_zoo(tmp_path_factory: pytest.TempPathFactory) -> Descriptor:
    folder: Path = tmp_path_factory.mktemp("zoo")
    return read_tables(compile_proto(folder, "zoo.proto", SOURCE)).frames["visit"].request


_F = FieldDescriptor
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _F.TYPE_STRING: TEXT,
    _F.TYPE_BOOL: st.booleans(),
    _F.TYPE_BYTES: st.binary(max_size=8),
    _F.TYPE_DOUBLE: st.floats(allow_nan=False),
    _F.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    _F.TYPE_ENUM: st.sampled_from([0, 1, -2, 77]),
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), st.integers(-(1 << 31), (1 << 31) - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), st.integers(0, (1 << 32) - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), st.integers(-(1 << 63), (1 << 63) - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), st.integers(0, (1 << 64) - 1)),
}


def fill(draw: st.DrawFn, message: Message, depth: int = 0) -> None:
    """Sets some fields of a message."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        message.FromMilliseconds(draw(st.integers(-62135596800000, 253402300799999)))  # type: ignore[attr-defined]
        return
    if message.DESCRIPTOR.full_name == "google.protobuf.Duration":
        message.FromMilliseconds(draw(st.integers(-315576000000000, 315576000000000)))  # type: ignore[attr-defined]
        return
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique=True)):
        kind = field.message_type
        if kind is not None and depth > 1:
            continue
        if kind is not None and kind.GetOptions().map_entry:
            entries = getattr(message, field.name)
            for key in draw(st.lists(SCALARS[kind.fields_by_name["key"].type], max_size=2)):
                value = kind.fields_by_name["value"]
                if value.message_type is None:
                    entries[key] = draw(SCALARS[value.type])
                else:
                    fill(draw, entries[key], depth + 1)
        elif field.is_repeated:
            for _ in range(draw(st.integers(1, 2))):
                if kind is None:
                    getattr(message, field.name).append(draw(SCALARS[field.type]))
                else:
                    fill(draw, getattr(message, field.name).add(), depth + 1)
        elif kind is None:
            setattr(message, field.name, draw(SCALARS[field.type]))
        else:
            getattr(message, field.name).SetInParent()
            fill(draw, getattr(message, field.name), depth + 1)


TRIES = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@TRIES
@given(st.data())
def test_written_json_equals_that_of_json_format_and_is_read_as_the_same_message(
    zoo: Descriptor, data: st.DataObject
) -> None:
    message = message_class(zoo)()
    data.draw(st.composite(lambda draw: fill(draw, message))())
    written = msgspec.json.encode(writer_of(zoo)(message))
    oracle = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json.loads(written) == json.loads(json.dumps(oracle))
    assert JsonReader(zoo).read(written) == message


@TRIES
@given(st.data())
def test_json_of_json_format_is_read_as_the_same_message(zoo: Descriptor, data: st.DataObject) -> None:
    message = message_class(zoo)()
    data.draw(st.composite(lambda draw: fill(draw, message))())
    text = json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=data.draw(st.booleans()))
    assert JsonReader(zoo).read(text.encode()) == message


@settings(TRIES, max_examples=400)
@given(st.data())
def test_no_text_is_read_that_json_format_refuses_or_reads_differently(zoo: Descriptor, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in zoo.fields]))
    text = json.dumps({name: data.draw(ANY_JSON)})
    try:
        message = JsonReader(zoo).read(text.encode())
    except BadJson:
        return
    oracle = json_format.Parse(text, message_class(zoo)())
    assert message.SerializeToString(deterministic=True) == oracle.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"nothing":1}', "nothing"),
        ('{"leaf":{"nothing":1}}', "leaf.nothing"),
        ('{"text":1}', "text"),
        ('{"flag":"true"}', "flag"),
        ('{"i32":2147483648}', "i32"),
        ('{"i64":"9223372036854775808"}', "i64"),
        ('{"u64":-1}', "u64"),
        ('{"i64":1.5}', "i64"),
        ('{"i64":"1e-1"}', "i64"),
        ('{"i64":"1e9999"}', "i64"),
        ('{"i64":9223372036854775808.0}', "i64"),
        ('{"i64":"+1"}', "i64"),
        ('{"real":"1e999"}', "real"),
        ('{"real":"1_0"}', "real"),
        ('{"two_words":"a","twoWords":"b"}', "two_words"),
        ('{"two_words":null,"twoWords":"b"}', "two_words"),
        ('{"longs":[1,"x"]}', "longs[1]"),
        ('{"leaves":[{"long":"x"}]}', "leaves[0].long"),
        ('{"numbers":{"a":"x"}}', "numbers.a"),
        ('{"grown":{"x":{}}}', "grown.x"),
        ('{"colour":"COLOUR_GREEN"}', "colour"),
        ('{"colour":"1.0"}', "colour"),
        ('{"colour":1.5}', "colour"),
        ('{"data":"*"}', "data"),
        ('{"small":1e39}', "small"),
        ('{"small":3.4028236e38}', "small"),
        ('{"real":1e999}', "real"),
        ('{"real":NaN}', "real"),
        ('{"text":"\\ud800"}', "text"),
        ('{"at":"yesterday"}', "at"),
        ('{"word":"a","number":1}', "number"),
        ('{"text":"a","text":"a"}', "text"),
        ('{"text":"a:b","text":"a"}', "text"),
        ('{"text":"a","te\\u0078t":"b"}', "text"),
        ('{"leaf":{"text":"a","text":"b"}}', "text"),
        ('{"numbers":{"a":1,"a":2}}', "a"),
        ('{"self":{"self":{"text":"a","text":"b"}}}', "self.self.text"),
        ("[]", ""),
        ("", ""),
        ('{"text":"a"}{}', ""),
    ],
)
def test_a_refusal_names_its_field(zoo: Descriptor, text: str, field: str) -> None:
    with pytest.raises(BadJson) as caught:
        JsonReader(zoo).read(text.encode())
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('{"twoWords":"a:b"}', "two_words", "a:b"),
        ('{"another":"1e3"}', "renamed", 1000),
        ('{"renamed":1.0}', "renamed", 1),
        ('{"i64":-0.0}', "i64", 0),
        ('{"i64":1E2}', "i64", 100),
        ('{"i64":"9223372036854775807.0"}', "i64", (1 << 63) - 1),
        ('{"u64":"0e9999"}', "u64", 0),
        ('{"i32":"-12.50e1"}', "i32", -125),
        ('{"real":"-1.5e2"}', "real", -150.0),
        ('{"small":"1"}', "small", 1.0),
        ('{"small":3.4028235e38}', "small", 3.4028234663852886e38),
        ('{"colour":"1"}', "colour", 1),
        ('{"colour":-2.0}', "colour", -2),
        ('{"colours":["COLOUR_RED",0]}', "colours", [1, 0]),
        ('{"data":"-_8"}', "data", b"\xfb\xff"),
        ('{"data":"+/8="}', "data", b"\xfb\xff"),
        ('{"text":null,"twoWords":null}', "text", ""),
    ],
)
def test_each_form_of_the_json_mapping_is_read(zoo: Descriptor, text: str, name: str, value: object) -> None:
    assert getattr(JsonReader(zoo).read(text.encode()), name) == value


def test_names_of_messages_inside_are_read_in_both_forms(zoo: Descriptor) -> None:
    for text in (b'{"twoLeaves":{"text":"a"}}', b'{"two_leaves":{"text":"a"}}'):
        assert JsonReader(zoo).read(text).two_leaves.text == "a"  # type: ignore[attr-defined]


def test_numbers_beyond_a_double_have_every_digit(zoo: Descriptor) -> None:
    for number in (str((1 << 63) - 1), f'"{(1 << 63) - 1}"'):
        assert JsonReader(zoo).read(f'{{"i64":{number}}}'.encode()).i64 == (1 << 63) - 1  # type: ignore[attr-defined]


def test_not_a_number_is_written_as_a_string(zoo: Descriptor) -> None:
    message = message_class(zoo)(real=math.nan, small=-math.inf)
    written = writer_of(zoo)(message)
    assert (written["real"], written["small"]) == ("NaN", "-Infinity")
