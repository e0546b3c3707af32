"""JSON to protobuf, compiled per message type: strict types, no unknown or repeated keys, errors that name the field.

The forms are those of protobuf's JSON mapping: fields by their names in the contracts or by their JSON names, null for
absent, values as in `values`; well-known types are read as `json_format` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import UNSET, UnsetType

from gateway.contracts.tables import message_class
from gateway.json_codec.errors import REFUSALS, BadJson, check_keys, explain
from gateway.json_codec.values import BITS, Convert, bytes_value, enum_value, integer, real

_F = FieldDescriptor
_NO_NULL = "null is no value here"


class _Field(NamedTuple):
    name: str
    json_name: str
    """Its other name; empty: none."""
    convert: Convert | None
    oneof: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A message type as a msgspec struct."""

    columns: Sequence[tuple[str, Any, Any]]
    """For `msgspec.defstruct`: name, type, default."""
    build: Callable[[Any], tuple[Message, int]]
    """Makes the message of a decoded struct; also returns the number of its keys."""


class JsonReader:
    """Reads one message type."""

    def __init__(self, descriptor: Descriptor) -> None:
        shape = shape_of(descriptor)
        struct = msgspec.defstruct(descriptor.name, shape.columns, forbid_unknown_fields=True, gc=False)
        self._build = shape.build
        self._decode = msgspec.json.Decoder(struct).decode

    def read(self, text: bytes) -> Message:
        """The message. Raises `BadJson`."""
        try:
            message, keys = self._build(self._decode(text))
        except REFUSALS as error:
            raise explain(text, error) from None
        if keys != text.count(b":"):
            check_keys(text)
        return message


def shape_of(
    descriptor: Descriptor, outer: tuple[Descriptor, ...] = (), reserved: frozenset[str] = frozenset()
) -> Shape:
    """The shape of a message type, inside `outer`; JSON names that are `reserved` are not read."""
    inside = (*outer, descriptor)
    columns: list[tuple[str, Any, Any]] = []
    fields: list[_Field] = []
    for field in descriptor.fields:
        kind, convert = _field(field, inside)
        # msgspec has no unions with Raw; the converters handle null.
        columns.append((field.name, kind if kind is msgspec.Raw else kind | None | UnsetType, UNSET))
        json_name = field.json_name
        if json_name in reserved or json_name in descriptor.fields_by_name or not json_name.isidentifier():
            json_name = ""
        else:
            columns.append((json_name, *columns[-1][1:]))
        oneof = field.containing_oneof
        # An `optional` field has a synthetic oneof.
        shared = oneof is not None and len(oneof.fields) > 1
        fields.append(_Field(field.name, json_name, convert, oneof.name if oneof is not None and shared else ""))
    return Shape(columns, _builder(message_class(descriptor), fields))


def _builder(new: Callable[[], Message], fields: Sequence[_Field]) -> Callable[[Any], tuple[Message, int]]:
    def build(struct: Any) -> tuple[Message, int]:
        message = new()
        keys = 0
        chosen: set[str] | None = None
        for name, json_name, convert, oneof in fields:
            value = getattr(struct, name)
            if json_name and (other := getattr(struct, json_name)) is not UNSET:
                if value is not UNSET:
                    raise BadJson("the field is there under both its names", name)
                value = other
            if value is UNSET:
                continue
            keys += 1
            if value is None:
                continue
            if oneof:
                chosen = chosen or set()
                if oneof in chosen:
                    raise BadJson(f"only one of {oneof!r} can be given", name)
                chosen.add(oneof)
            if convert is None:
                setattr(message, name, value)
                continue
            try:
                value, inner = convert(value)
            except BadJson as error:
                raise error.within(name) from None
            keys += inner
            if value is None:
                continue
            if isinstance(value, Message):
                getattr(message, name).CopyFrom(value)
            elif isinstance(value, list):
                getattr(message, name).extend(value)
            elif isinstance(value, dict):
                _fill_map(getattr(message, name), value)
            else:
                setattr(message, name, value)
        return message, keys

    return build


def _fill_map(target: Any, entries: dict[Any, Any]) -> None:
    for key, value in entries.items():
        if isinstance(value, Message):
            target[key].CopyFrom(value)
        else:
            target[key] = value


def _field(field: FieldDescriptor, inside: tuple[Descriptor, ...]) -> tuple[Any, Convert | None]:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _map(message, inside)
    kind, convert = single(field, inside)
    if not field.is_repeated:
        return kind, convert
    return list[kind], _list(convert)  # type: ignore[valid-type]


def _list(convert: Convert | None) -> Convert:
    if convert is None:
        return lambda values: (values, 0)

    def convert_all(values: list[Any]) -> tuple[list[Any], int]:
        result, keys = [], 0
        for index, value in enumerate(values):
            try:
                item, inner = convert(value)
                if item is None:
                    raise BadJson(_NO_NULL)
            except BadJson as error:
                raise BadJson(error.message, f"[{index}]" + (f".{error.field}" if error.field else "")) from None
            result.append(item)
            keys += inner
        return result, keys

    return convert_all


def _map(entry: Descriptor, inside: tuple[Descriptor, ...]) -> tuple[Any, Convert]:
    key_field = entry.fields_by_name["key"]
    kind, convert = single(entry.fields_by_name["value"], inside)

    def convert_map(values: dict[str, Any]) -> tuple[dict[Any, Any], int]:
        result, keys = {}, len(values)
        for name, value in values.items():
            try:
                item, inner = (value, 0) if convert is None else convert(value)
                if item is None:
                    raise BadJson(_NO_NULL)
                result[_map_key(key_field, name)] = item
            except BadJson as error:
                raise error.within(name) from None
            keys += inner
        return result, keys

    return dict[str, kind], convert_map  # type: ignore[valid-type]


def _map_key(field: FieldDescriptor, name: str) -> Any:
    if field.type == _F.TYPE_STRING:
        return name
    if field.type == _F.TYPE_BOOL:
        if name in ("true", "false"):
            return name == "true"
        raise BadJson("expected true or false")
    return integer(*BITS[field.type])(name)[0]


def single(field: FieldDescriptor, inside: tuple[Descriptor, ...] = ()) -> tuple[Any, Convert | None]:
    """How one value of a field is read: the type that msgspec decodes, and its converter (None: no conversion)."""
    if field.type == _F.TYPE_STRING:
        return str, None
    if field.type == _F.TYPE_BOOL:
        return bool, None
    if field.type == _F.TYPE_BYTES:
        return str, bytes_value
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return float | str, real(field.type == _F.TYPE_FLOAT)
    if field.enum_type is not None:
        return int | float | str, enum_value(field.enum_type)
    if field.type in BITS:
        return int | float | str, integer(*BITS[field.type])
    message = field.message_type
    assert message is not None
    if message.full_name.startswith("google.protobuf."):
        return msgspec.Raw, _well_known(message)
    if message in inside:
        return msgspec.Raw, _recursive(message)
    shape = shape_of(message, inside)
    return msgspec.defstruct(message.name, shape.columns, forbid_unknown_fields=True, gc=False), shape.build


def _well_known(message: Descriptor) -> Convert:
    new = message_class(message)

    def convert(raw: msgspec.Raw) -> tuple[Message | None, int]:
        if bytes(raw) == b"null" and message.name != "Value":
            return None, 0
        try:
            return json_format.Parse(bytes(raw), new()), 0
        except (json_format.ParseError, ValueError, TypeError):
            raise BadJson(f"not a {message.name}") from None

    return convert


def _recursive(message: Descriptor) -> Convert:
    readers: list[JsonReader] = []

    def convert(raw: msgspec.Raw) -> tuple[Message | None, int]:
        if bytes(raw) == b"null":
            return None, 0
        if not readers:
            readers.append(JsonReader(message))
        return readers[0].read(bytes(raw)), bytes(raw).count(b":")

    return convert
