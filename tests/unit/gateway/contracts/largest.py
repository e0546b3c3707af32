"""The largest message that the rules of a contract allow, as far as rules say it."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.contracts.field_rules import rules_of
from gateway.contracts.tables import message_class
from kit.target import COLLECTIONS

_F = FieldDescriptor
_INTEGERS = {_F.TYPE_INT32: (1 << 31) - 1, _F.TYPE_UINT32: (1 << 32) - 1, _F.TYPE_UINT64: (1 << 64) - 1}
_LONGEST = f"{max(COLLECTIONS, key=len)}/{'x' * 64}"


def largest(descriptor: Descriptor) -> Message:
    """A message whose lists are full and whose texts are as long as they may be."""
    message = message_class(descriptor)()
    for field in descriptor.fields:
        rules = rules_of(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = _text(rules.map.keys), _text(rules.map.values)
            for number in range(int(rules.map.max_pairs)):
                getattr(message, field.name)[f"{number:02}{key[2:]}"] = value
        elif field.is_repeated:
            count = int(rules.repeated.max_items) or 1
            if field.message_type is not None:
                getattr(message, field.name).extend([largest(field.message_type)] * count)
            else:
                getattr(message, field.name).extend([_value(field, rules.repeated.items)] * count)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(largest(field.message_type))
        elif field.containing_oneof is None or field.containing_oneof.fields[0] is field:
            setattr(message, field.name, _value(field, rules))
    return message


def _value(field: FieldDescriptor, rules: Any) -> object:
    if field.type == _F.TYPE_STRING:
        return _text(rules)
    if field.type == _F.TYPE_BYTES:
        return b"\xff" * int(rules.bytes.max_len)
    if field.enum_type is not None:
        return max(field.enum_type.values, key=lambda value: len(value.name)).number
    if field.type == _F.TYPE_BOOL:
        return False
    limit = rules.int32.lte or rules.int64.lte or rules.uint32.lte or rules.uint64.lte
    return limit or _INTEGERS.get(field.type, (1 << 63) - 1)


def _text(rules: Any) -> str:
    if most := rules.string.max_bytes or rules.string.max_len:
        return "\x01" * int(most)
    if not rules.string.pattern:
        return _LONGEST
    for text in (_LONGEST, *("x" * length for length in (4096, 512, 256, 128, 64, 32, 16)), "f" * 19, "+" + "9" * 15):
        if re.fullmatch(rules.string.pattern, text):
            return text
    raise AssertionError(f"no text for {rules.string.pattern}")
