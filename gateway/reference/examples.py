"""Example messages, from the examples in the comments of the contracts."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.contracts.field_rules import rules_of
from gateway.contracts.tables import message_class
from gateway.json_codec.writer import writer_of
from gateway.reference.comments import Comments
from gateway.reference.rules import required_of

_F = FieldDescriptor
_FLOATS = (_F.TYPE_DOUBLE, _F.TYPE_FLOAT)


def request_example(message: Descriptor, comments: Comments) -> dict[str, Any]:
    """The JSON of a message from a client: required fields, and fields with an example."""
    message_value = _filled(message, comments, is_request=True)
    written = {field.name for field, _ in message_value.ListFields()} | required_of(message)
    return {name: value for name, value in writer_of(message)(message_value).items() if name in written}


def response_example(message: Descriptor, comments: Comments) -> dict[str, Any]:
    """The JSON of a message to a client."""
    message_value: dict[str, Any] = writer_of(message)(_filled(message, comments, is_request=False))
    return message_value


def _filled(message: Descriptor, comments: Comments, *, is_request: bool, depth: int = 0) -> Any:
    message_value = message_class(message)()
    for field in message.fields:
        if field.containing_oneof is not None or message.full_name.startswith("google."):
            continue
        text = comments.example(field.full_name)
        if text is None and not is_request:
            text = comments.example_of_name(field.name)
        value = _value(field, text, comments, is_request, depth)
        if value is None:
            continue
        if field.is_repeated:
            getattr(message_value, field.name).append(value)
        elif isinstance(value, Message):
            getattr(message_value, field.name).CopyFrom(value)
        else:
            setattr(message_value, field.name, value)
    return message_value


def _value(field: FieldDescriptor, text: str | None, comments: Comments, is_request: bool, depth: int) -> Any:
    inner = field.message_type
    if inner is not None:
        # No message of the contracts is deeper, except recursive ones.
        if inner.GetOptions().map_entry or depth > 4 or inner.full_name.startswith("google."):
            return None
        return _filled(inner, comments, is_request=is_request, depth=depth + 1)
    if field.enum_type is not None:
        refused = rules_of(field).enum.not_in if is_request else ()
        wanted = [value.number for value in field.enum_type.values if value.number and value.number not in refused]
        return wanted[0] if wanted else None
    if field.type == _F.TYPE_BOOL:
        return True if not is_request or field.name == "on" else None
    if text is None:
        return None
    if field.type == _F.TYPE_STRING:
        return text
    try:
        return float(text) if field.type in _FLOATS else int(text)
    except ValueError:
        return None
