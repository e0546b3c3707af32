"""Protobuf to JSON, compiled per message type, with the names of the contracts and with default values.

The same output as `json_format` with `preserving_proto_field_name` and `always_print_fields_with_no_presence`, faster;
except that 64-bit integers with the option `jstype = JS_NUMBER` are numbers.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from keyword import iskeyword
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldOptions
from google.protobuf.internal.type_checkers import ToShortestFloat
from google.protobuf.message import Message

Writer = Callable[[Any], Any]
"""Converts a field's value or a message to a JSON value."""

_F = FieldDescriptor
_LONG = frozenset((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64, _F.TYPE_UINT64, _F.TYPE_FIXED64))


@cache
def writer_of(descriptor: Descriptor) -> Writer:
    """Converts messages of this type to dicts, with the field names as keys in the order of the contract."""
    if descriptor.full_name == "google.protobuf.Any":
        return _write_any
    if descriptor.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict
    values: dict[str, Any] = {}
    write: Writer = eval(f"lambda m: {_expression(descriptor, 'm', values)}", values)
    if_set = [(field.name, _single_writer(field)) for field in descriptor.fields if field.has_presence]
    if not if_set:
        return write

    def write_all(message: Message) -> dict[str, Any]:
        result: dict[str, Any] = write(message)
        for name, convert in if_set:
            if message.HasField(name):
                value = getattr(message, name)
                result[name] = value if convert is None else convert(value)
        return result

    return write_all


def _expression(descriptor: Descriptor, of: str, values: dict[str, Any]) -> str:
    """The source of a dict of the fields without presence; the functions it calls are added to `values`.

    One expression with inner messages inlined costs half as much as a loop over fields.
    """
    entries = []
    for field in descriptor.fields:
        if field.has_presence:
            continue
        value = f"getattr({of}, {field.name!r})" if iskeyword(field.name) else f"{of}.{field.name}"
        message = field.message_type
        if message is not None and field.is_repeated and _is_plain(message):
            value = f"[{_expression(message, of + '_', values)} for {of}_ in {value}]"
        elif is_text_number(field) and not field.is_repeated:
            value = f"str({value})"
        elif (convert := _field_writer(field)) is not None:
            name = f"convert{len(values)}"
            values[name] = convert
            value = f"{name}({value})"
        entries.append(f"{field.name!r}: {value}")
    return "{" + ", ".join(entries) + "}"


def is_text_number(field: FieldDescriptor) -> bool:
    """Whether a field is an integer that is written as a string: readers with doubles could change it."""
    return field.type in _LONG and field.GetOptions().jstype != FieldOptions.JS_NUMBER


def _is_plain(message: Descriptor) -> bool:
    """Whether a message has only scalar fields without presence: no message, no map, no recursion."""
    return all(not field.has_presence and field.message_type is None for field in message.fields) and not (
        message.full_name.startswith("google.protobuf.") or message.GetOptions().map_entry
    )


def _field_writer(field: FieldDescriptor) -> Writer | None:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields_by_name["key"], _single_writer(message.fields_by_name["value"]) or _same
        name: Writer = _bool_name if key.type == _F.TYPE_BOOL else str
        return lambda entries: {name(each): value(entries[each]) for each in sorted(entries)}
    single = _single_writer(field)
    if not field.is_repeated:
        return single
    if single is None:
        return list
    return lambda items: [single(item) for item in items]


def _single_writer(field: FieldDescriptor) -> Writer | None:
    if is_text_number(field):
        return str
    if field.type == _F.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return _write_float if field.type == _F.TYPE_FLOAT else _write_double
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return lambda _: None
        names = {value.number: value.name for value in reversed(field.enum_type.values)}
        return lambda number: names.get(number, number)
    if field.message_type is not None:
        message = field.message_type
        return lambda value: writer_of(message)(value)
    return None


def _same(value: Any) -> Any:
    return value


def _bool_name(value: bool) -> str:
    return "true" if value else "false"


def _write_double(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _write_float(value: float) -> Any:
    return ToShortestFloat(value) if math.isfinite(value) else _write_double(value)


def _write_any(value: Any) -> Any:
    try:
        return json_format.MessageToDict(value, preserving_proto_field_name=True)
    except TypeError:
        # This process does not have the type: only its bytes can be written.
        return {"@type": value.type_url, "value": b64encode(value.value).decode()}
