"""The rules of protovalidate as keywords of JSON Schema."""

from __future__ import annotations

from functools import cache
from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from gateway.contracts.tables import message_class

Schema = dict[str, Any]

_BOUNDS = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}
_SIZES = {
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "min_pairs": "minProperties",
    "max_pairs": "maxProperties",
}
_FORMATS = {"email": "email", "hostname": "hostname", "uri": "uri", "uuid": "uuid", "ipv4": "ipv4", "ipv6": "ipv6"}
_TEXT = {
    "pattern": "pattern",
    "min_len": "minLength",
    "max_len": "maxLength",
    "len": "maxLength",
    # A character has at least one byte.
    "max_bytes": "maxLength",
    "const": "const",
}


def constrained(schema: Schema, field: FieldDescriptor, rules: Any) -> Schema:
    """The schema of a value of the field, with its rules. A list gets only the bounds of its size."""
    kind = rules.WhichOneof("type")
    if kind is None or _is_ignored(rules):
        return schema
    given = {rule.name: value for rule, value in getattr(rules, kind).ListFields()}
    if kind == "string":
        return {**schema, **_text(given)}
    if kind in ("repeated", "map"):
        return {**schema, **_renamed(given, _SIZES)}
    if kind == "enum":
        return {**schema, "enum": [name for name in schema["enum"] if name not in _refused(field, given)]}
    return {**schema, **_renamed(given, _BOUNDS)}


def _is_ignored(rules: Any) -> bool:
    ignore: FieldDescriptor = rules.DESCRIPTOR.fields_by_name["ignore"]
    assert ignore.enum_type is not None
    return bool(rules.ignore == ignore.enum_type.values_by_name["IGNORE_ALWAYS"].number)


def bytes_note(field: FieldDescriptor) -> str:
    """A note that JSON Schema cannot express: the limit of a text is in bytes."""
    rules = rules_of(field)
    if rules.WhichOneof("type") == "string" and rules.string.HasField("max_bytes"):
        return f"At most {rules.string.max_bytes} bytes in UTF-8."
    return ""


@cache
def required_of(message: Descriptor) -> frozenset[str]:
    """The fields without which a message violates its own rules."""
    try:
        protovalidate.validate(message_class(message)())
    except protovalidate.ValidationError as error:
        paths = [violation.proto.field for violation in error.violations]
        return frozenset(path.elements[0].field_name for path in paths if path is not None and path.elements)
    return frozenset()


def _text(given: dict[str, Any]) -> Schema:
    schema = _renamed(given, _TEXT)
    if given.get("min_bytes"):
        schema["minLength"] = 1
    if "len" in given:
        schema["minLength"] = given["len"]
    if "in" in given:
        schema["enum"] = list(given["in"])
    for name, form in _FORMATS.items():
        if given.get(name):
            schema["format"] = form
    return schema


def _renamed(given: dict[str, Any], names: dict[str, str]) -> Schema:
    return {names[name]: value for name, value in given.items() if name in names}


def _refused(field: FieldDescriptor, given: dict[str, Any]) -> frozenset[str]:
    assert field.enum_type is not None
    numbers = frozenset(given.get("not_in", ()))
    return frozenset(value.name for value in field.enum_type.values if value.number in numbers)
