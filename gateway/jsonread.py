"""JSON to protobuf, compiled per message type: strict types, no unknown or repeated keys, errors that name the field.

Names are those of the contracts; 64-bit integers are numbers or strings, enums are names or numbers, bytes are base64,
null is the same as absent; well-known types are read as `json_format` reads them.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import UNSET, UnsetType

from gateway.tables import message_class

Convert = Callable[[Any], tuple[Any, int]]
"""Makes the value of a field from what msgspec decoded; also returns how many keys of objects were in it."""

_F = FieldDescriptor
_BITS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32, _F.TYPE_ENUM), (-(1 << 31), (1 << 31) - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(1 << 63), (1 << 63) - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, (1 << 32) - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, (1 << 64) - 1)),
}
_STANDARD = str.maketrans("-_", "+/")
_NO_NULL = "null is no value here"
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT_MAX = 3.4028234663852886e38
_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_WORDS = {"bool": "true or false", "str": "a string", "int": "an integer", "float": "a number", "object": "an object"}
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]*)`")


REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)
"""How msgspec refuses a text."""
INVALID_VALUE = "the value is not valid"


class BadJson(Exception):
    """The text cannot be read; `field` is the path of the field at fault, or empty."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def within(self, name: str) -> BadJson:
        """The same, seen from the message that has the field `name`."""
        dot = "." if self.field and not self.field.startswith("[") else ""
        return BadJson(self.message, f"{name}{dot}{self.field}")


class _Field(NamedTuple):
    name: str
    convert: Convert | None
    oneof: str


@dataclass(frozen=True, slots=True)
class Shape:
    """How one message type looks as a msgspec struct."""

    columns: Sequence[tuple[str, Any, Any]]
    """For `msgspec.defstruct`: name, type, default."""
    build: Callable[[Any], tuple[Message, int]]
    """Makes the message of a decoded struct; also returns how many keys it had."""


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


def shape_of(descriptor: Descriptor, above: tuple[Descriptor, ...] = ()) -> Shape:
    """The shape of a message type, which stands inside of those `above`."""
    inside = (*above, descriptor)
    columns: list[tuple[str, Any, Any]] = []
    fields: list[_Field] = []
    for field in descriptor.fields:
        kind, convert = _field(field, inside)
        # msgspec has no unions with Raw; the converters know null themselves.
        columns.append((field.name, kind if kind is msgspec.Raw else kind | None | UnsetType, UNSET))
        oneof = field.containing_oneof
        # A field that is `optional` has a oneof of its own.
        shared = oneof is not None and len(oneof.fields) > 1
        fields.append(_Field(field.name, convert, oneof.name if oneof is not None and shared else ""))
    return Shape(columns, _builder(message_class(descriptor), fields))


def _builder(new: Callable[[], Message], fields: Sequence[_Field]) -> Callable[[Any], tuple[Message, int]]:
    def build(struct: Any) -> tuple[Message, int]:
        message = new()
        keys = 0
        chosen: set[str] | None = None
        for name, convert, oneof in fields:
            value = getattr(struct, name)
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
    return _integer(*_BITS[field.type])(name)[0]


def single(field: FieldDescriptor, inside: tuple[Descriptor, ...] = ()) -> tuple[Any, Convert | None]:
    """How one value of a field is read: what msgspec decodes, and what makes the value of that (None: it is that)."""
    if field.type == _F.TYPE_STRING:
        return str, None
    if field.type == _F.TYPE_BOOL:
        return bool, None
    if field.type == _F.TYPE_BYTES:
        return str, _bytes
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return float | str, _float(field.type == _F.TYPE_FLOAT)
    if field.enum_type is not None:
        return int | str, _enum(field.enum_type)
    if field.type in _BITS:
        return int | str, _integer(*_BITS[field.type])
    message = field.message_type
    assert message is not None
    if message.full_name.startswith("google.protobuf."):
        return msgspec.Raw, _well_known(message)
    if message in inside:
        return msgspec.Raw, _recursive(message)
    shape = shape_of(message, inside)
    return msgspec.defstruct(message.name, shape.columns, forbid_unknown_fields=True, gc=False), shape.build


def _integer(least: int, most: int) -> Convert:
    def convert(value: int | str) -> tuple[int, int]:
        if isinstance(value, str):
            if not _INTEGER.fullmatch(value):
                raise BadJson("expected an integer")
            value = int(value)
        if not least <= value <= most:
            raise BadJson(f"the integer is not between {least} and {most}")
        return value, 0

    return convert


def _float(single: bool) -> Convert:
    def convert(value: float | str) -> tuple[float, int]:
        if isinstance(value, str):
            if value not in _NAMED_FLOATS:
                raise BadJson("expected a number")
            return _NAMED_FLOATS[value], 0
        if single and abs(value) > _FLOAT_MAX:
            raise BadJson("the number is too large")
        return value, 0

    return convert


def _enum(enum: EnumDescriptor) -> Convert:
    numbers = {value.name: value.number for value in enum.values}
    least, most = _BITS[_F.TYPE_ENUM]

    def convert(value: int | str) -> tuple[int, int]:
        number = numbers.get(value) if isinstance(value, str) else value
        if number is None or not least <= number <= most:
            raise BadJson(f"not a value of {enum.name}")
        return number, 0

    return convert


def _bytes(value: str) -> tuple[bytes, int]:
    try:
        if not value.isascii():
            raise ValueError
        plain = value.translate(_STANDARD).rstrip("=")
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True), 0
    except ValueError:
        raise BadJson("expected base64") from None


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


def check_keys(text: bytes) -> None:
    """Raises `BadJson` where an object names a key twice, or a value is none that protobuf knows; slow."""
    try:
        json.loads(text, object_pairs_hook=_check_pairs)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("the JSON is nested too deeply") from None
    except ValueError:
        raise BadJson("not JSON") from None


def _check_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise BadJson("the key is there twice", _printable(name))
        result[name] = value
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, float) and not math.isfinite(item):
                raise BadJson("the number is out of range", _printable(name))
            if isinstance(item, str) and not _is_text(item):
                raise BadJson("a lone surrogate is not text", _printable(name))
    return result


def explain(text: bytes, error: Exception) -> BadJson:
    """What is wrong with a text that msgspec refused with this error."""
    if isinstance(error, RecursionError):
        return BadJson("the JSON is nested too deeply")
    shape = explain_shape(str(error)) if isinstance(error, msgspec.ValidationError) else BadJson("not JSON")
    try:
        # Another parser knows which field it is that has NaN, a lone surrogate, or two values.
        check_keys(text)
    except BadJson as found:
        return found if found.field else shape
    return shape


def explain_shape(message: str) -> BadJson:
    """The error that msgspec describes, in the words of the contract."""
    at = _AT.search(message)
    path = (at["path"] if at else "").replace("[...]", "[]")
    for pattern, words in ((_UNKNOWN, "there is no such field"), (_MISSING, "the field is missing")):
        if found := pattern.search(message):
            name = _printable(found["name"])
            return BadJson(words, f"{path}.{name}" if path else name)
    if expected := _EXPECTED.search(message):
        kinds = [kind for kind in expected["kinds"].split(" | ") if kind != "null"]
        return BadJson("expected " + " or ".join(_WORDS.get(kind, kind) for kind in kinds), path)
    return BadJson("the number is out of range" if "out of range" in message else INVALID_VALUE, path)


def _printable(name: str) -> str:
    return name[:64].encode(errors="replace").decode()


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
