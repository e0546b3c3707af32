"""Example messages, made of the examples in the comments of the contracts."""

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
    """The JSON of a message from a client: what its rules ask for, and whatever has an example of its own."""
    made = _filled(message, comments, is_request=True)
    written = {field.name for field, _ in made.ListFields()} | required_of(message)
    return {name: value for name, value in writer_of(message)(made).items() if name in written}


def response_example(message: Descriptor, comments: Comments) -> dict[str, Any]:
    """The JSON of a message to a client."""
    made: dict[str, Any] = writer_of(message)(_filled(message, comments, is_request=False))
    return made


def _filled(message: Descriptor, comments: Comments, *, is_request: bool, depth: int = 0) -> Any:
    made = message_class(message)()
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
            getattr(made, field.name).append(value)
        elif isinstance(value, Message):
            getattr(made, field.name).CopyFrom(value)
        else:
            setattr(made, field.name, value)
    return made


def _value(field: FieldDescriptor, text: str | None, comments: Comments, is_request: bool, depth: int) -> Any:
    inner = field.message_type
    if inner is not None:
        # Deeper than any message of the contracts, but for those that contain themselves.
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
