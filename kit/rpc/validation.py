"""Checks requests against the rules of their contracts."""

from __future__ import annotations

import re
from typing import Any

import protovalidate

from kit.errors import Invalid
from kit.target import TARGET_FORM, TOPIC_FORM

PATTERN_MESSAGES = {
    "^[a-z]+/[A-Za-z0-9_.~-]{1,64}$": TARGET_FORM,
    "^[A-Za-z0-9_.~-]{1,64}$": "an id is 1 to 64 letters, digits or _.~-",
    "^[A-Za-z0-9_.~-]{0,64}$": "an id is at most 64 letters, digits or _.~-",
    "^[a-z]{0,32}$": "a type is at most 32 small letters",
    "^[A-Za-z0-9_.]{1,128}$": "a name is 1 to 128 letters, digits or _.",
    "^\\+[1-9][0-9]{1,14}$": "a phone is + and 2 to 15 digits (E.164), for example +4930123456",
    "^(\\+[1-9][0-9]{1,14})?$": "a phone is + and 2 to 15 digits (E.164), for example +4930123456",
    "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$": "a locale is a language tag (BCP 47), for example de-AT",
    "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$": "a time zone is one of the tz database: Europe/Vienna",
}
"""The message where a field breaks a pattern of the contracts; protovalidate would show the pattern."""
_TOPICS = frozenset({"topic", "topics"})
_validate = protovalidate.Validator().validate
_ONE_OF = re.compile(r"one of (\w+),")


def validate(request: Any) -> None:
    """Raises Invalid, naming the field, where a request breaks a rule of its contract."""
    try:
        _validate(request, fail_fast=True)
    except protovalidate.ValidationError as error:
        violation = error.violations[0]
        raise Invalid(_message_of(violation), field=path_of(violation)) from None


def _message_of(violation: Any) -> str:
    if violation.proto.rule_id != "string.pattern":
        return str(violation.proto.message)
    message = PATTERN_MESSAGES.get(violation.rule_value, violation.proto.message)
    is_topic = message == TARGET_FORM and violation.proto.field.elements[-1].field_name in _TOPICS
    return TOPIC_FORM if is_topic else str(message)


def path_of(violation: Any) -> str:
    """A violation's field path as text: `changes[3].target`; of a rule `oneof` of a message the first of its fields."""
    if violation.proto.field is None:
        # Only the text of the violation names them.
        found = _ONE_OF.search(violation.proto.message)
        return found[1] if found is not None else ""
    parts = []
    for element in violation.proto.field.elements:
        index = f"[{element.subscript.value}]" if element.subscript is not None else ""
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)
