"""JSON Schemas of messages, as `json_codec.reader` reads and `json_codec.writer` writes them."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from gateway.json_codec.writer import is_text_number
from gateway.reference.comments import Comments
from gateway.reference.rules import Schema, bytes_note, constrained, required_of

_F = FieldDescriptor
_INTEGERS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), "int32"),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), "uint32"),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), "int64"),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), "uint64"),
}
_DIGITS = "^-?[0-9]{1,20}$"
_FLOATS: Schema = {"type": ["number", "string"], "format": "double"}
_WELL_KNOWN: dict[str, Schema] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "FieldMask": {"type": "string"},
    "Empty": {"type": "object"},
    "Struct": {"type": "object"},
    "Value": {},
    "ListValue": {"type": "array"},
    "BoolValue": {"type": "boolean"},
    "StringValue": {"type": "string"},
    "BytesValue": {"type": "string", "contentEncoding": "base64"},
    "Int32Value": {"type": "integer", "format": "int32"},
    "UInt32Value": {"type": "integer", "format": "uint32"},
    "Int64Value": {"type": "string", "format": "int64"},
    "UInt64Value": {"type": "string", "format": "uint64"},
    "DoubleValue": _FLOATS,
    "FloatValue": _FLOATS,
}
ANY: Schema = {
    "type": "object",
    "properties": {"@type": {"type": "string", "description": "The URL of the type of this message."}},
    "required": ["@type"],
}


class Schemas:
    """Makes schemas, and collects those of messages as components. `prefix` is their path in the document."""

    def __init__(self, comments: Comments, prefix: str = "#/components/schemas/") -> None:
        self.components: dict[str, Schema] = {}
        self._comments = comments
        self._prefix = prefix
        self._names: dict[str, tuple[Descriptor, bool]] = {}

    def request(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message from a client: with its rules, and without other keys."""
        return self._component(message, True)

    def response(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message to a client: fields without presence are required."""
        return self._component(message, False)

    def object_of(self, message: Descriptor, is_request: bool, *, without: frozenset[str] = frozenset()) -> Schema:
        """The schema of a message itself, without some of its fields."""
        fields = [field for field in message.fields if field.name not in without]
        schema: Schema = {"type": "object", "title": message.name}
        if text := self._comments.of(message.full_name):
            schema["description"] = text
        schema["properties"] = {field.name: self.field(field, is_request) for field in fields}
        must = required_of(message) if is_request else {field.name for field in fields if not field.has_presence}
        if required := [field.name for field in fields if field.name in must]:
            schema["required"] = required
        if is_request:
            schema["additionalProperties"] = False
        return schema

    def field(self, field: FieldDescriptor, is_request: bool) -> Schema:
        """The schema of a field, with its comment and, in requests, its rules."""
        schema = self._value(field, is_request)
        texts = [self._comments.of(field.full_name), bytes_note(field) if is_request else ""]
        if description := "\n\n".join(text for text in texts if text):
            schema = {**schema, "description": description}
        example = self._comments.example(field.full_name)
        if example is not None and "$ref" not in schema:
            schema = {**schema, "examples": [as_value(field, example)]}
        return schema

    def _value(self, field: FieldDescriptor, is_request: bool) -> Schema:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            value = self._single(message.fields_by_name["value"], is_request)
            whole: Schema = {"type": "object", "additionalProperties": value}
            return constrained(whole, field, rules_of(field)) if is_request else whole
        single = self._single(field, is_request)
        if not is_request:
            return {"type": "array", "items": single} if field.is_repeated else single
        rules = rules_of(field)
        if not field.is_repeated:
            return constrained(single, field, rules)
        return constrained({"type": "array", "items": constrained(single, field, rules.repeated.items)}, field, rules)

    def _single(self, field: FieldDescriptor, is_request: bool) -> Schema:
        if field.type == _F.TYPE_STRING:
            return {"type": "string"}
        if field.type == _F.TYPE_BOOL:
            return {"type": "boolean"}
        if field.type == _F.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
            return dict(_FLOATS)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        if name := _INTEGERS.get(field.type):
            return _integer(name, is_request, is_text=is_text_number(field))
        assert field.message_type is not None
        return self._component(field.message_type, is_request)

    def _component(self, message: Descriptor, is_request: bool) -> Schema:
        if message.full_name == "google.protobuf.Any":
            return dict(ANY)
        if message.full_name.startswith("google.protobuf."):
            return dict(_WELL_KNOWN[message.name])
        name = self._name_of(message, is_request)
        if name not in self.components:
            self.components[name] = {}  # for messages that contain themselves
            self.components[name] = self.object_of(message, is_request)
        return {"$ref": f"{self._prefix}{name}"}

    def _name_of(self, message: Descriptor, is_request: bool) -> str:
        """The name of the message; a longer one where another message or the other direction has that name."""
        longer = message.full_name.replace(".", "_")
        direction = "In" if is_request else "Out"
        for name in (message.name, f"{message.name}{direction}", longer, f"{longer}{direction}"):
            if self._names.setdefault(name, (message, is_request)) == (message, is_request):
                return name
        raise AssertionError(longer)


def as_value(field: FieldDescriptor, text: str) -> Any:
    """The value of a field for an example text, as the gateway writes it."""
    value: Any = text
    if field.type == _F.TYPE_BOOL:
        value = text == "true"
    elif field.type in _INTEGERS and not is_text_number(field):
        value = int(text)
    elif field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        value = float(text)
    return [value] if field.is_repeated else value


def _integer(name: str, is_request: bool, *, is_text: bool) -> Schema:
    unsigned = {"minimum": 0} if name.startswith("u") else {}
    if name.endswith("32") or not (is_text or is_request):
        return {"type": "integer", "format": name, **unsigned}
    if is_request:
        return {"type": ["string", "integer"], "format": name, "pattern": _DIGITS, **unsigned}
    return {"type": "string", "format": name, "pattern": _DIGITS}
