"""Errors of a JSON text, as messages that name the field."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

_KIND_NAMES = {
    "bool": "true or false",
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "object": "an object",
}
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]*)`")
REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises for a text that it refuses."""
INVALID_VALUE = "the value is not valid"


class BadJson(Exception):
    """The text is invalid; `field` is the path of the invalid field, or empty."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def within(self, name: str) -> BadJson:
        """The same error, with its path relative to the message that has the field `name`."""
        dot = "." if self.field and not self.field.startswith("[") else ""
        return BadJson(self.message, f"{name}{dot}{self.field}")


def check_keys(text: bytes) -> None:
    """Raises `BadJson` where an object repeats a key, or a value is not one of protobuf; slow."""
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
    """The fault of a text that msgspec refused with this error."""
    if isinstance(error, RecursionError):
        return BadJson("the JSON is nested too deeply")
    shape = explain_shape(str(error)) if isinstance(error, msgspec.ValidationError) else BadJson("not JSON")
    try:
        # Another parser names the field that has NaN, a lone surrogate, or two values.
        check_keys(text)
    except BadJson as found:
        return found if found.field else shape
    return shape


def explain_shape(message: str) -> BadJson:
    """The error of a message of msgspec, with the names of the contract."""
    at = _AT.search(message)
    path = (at["path"] if at else "").replace("[...]", "[]")
    for pattern, fault in ((_UNKNOWN, "there is no such field"), (_MISSING, "the field is missing")):
        if found := pattern.search(message):
            name = _printable(found["name"])
            return BadJson(fault, f"{path}.{name}" if path else name)
    if expected := _EXPECTED.search(message):
        kinds = [kind for kind in expected["kinds"].split(" | ") if kind != "null"]
        return BadJson("expected " + " or ".join(_KIND_NAMES.get(kind, kind) for kind in kinds), path)
    return BadJson("the number is out of range" if "out of range" in message else INVALID_VALUE, path)


def _printable(name: str) -> str:
    return name[:64].encode(errors="replace").decode()


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
