"""JSON values as values of protobuf fields: numbers, enums and bytes in all forms of protobuf's JSON mapping.

Numbers are numbers or strings (for an integer also `1.0` and `1e3`), enums are names or numbers, bytes are base64 or
base64url. Stricter than `json_format`, which drops characters that are not base64, and accepts every text that Python
reads as a number, such as `+1` and `1_000`.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.json_codec.errors import BadJson

Convert = Callable[[Any], tuple[Any, int]]
"""Converts what msgspec decoded to the value of a field; also returns the number of object keys in it."""

_F = FieldDescriptor
BITS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32, _F.TYPE_ENUM), (-(1 << 31), (1 << 31) - 1)),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), (-(1 << 63), (1 << 63) - 1)),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, (1 << 32) - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, (1 << 64) - 1)),
}
_STANDARD = str.maketrans("-_", "+/")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,320}(?:\.[0-9]{1,320})?(?:[eE][+-]?[0-9]{1,4})?")
_LONGEST_INTEGER = 20
# From here on a number is rounded to infinity as a float; the shortest text of the largest float is below it.
_FLOAT_LIMIT = 2.0**128 - 2.0**103
_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def integer(least: int, most: int) -> Convert:
    """Reads integers from `least` to `most`."""

    def convert(value: float | str) -> tuple[int, int]:
        number = value if isinstance(value, int) else whole(value)
        if not least <= number <= most:
            raise BadJson(f"the integer is not between {least} and {most}")
        return number, 0

    return convert


def whole(value: float | str) -> int:
    """The integer of a JSON number or text, in any form. Raises `BadJson` where it is not an integer."""
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            return int(value)
        if not _NUMBER.fullmatch(value):
            raise BadJson("expected an integer")
        exact = Decimal(value)
        # Before the conversion: 1e9999 has ten thousand digits.
        if exact and (exact.adjusted() >= _LONGEST_INTEGER or exact != exact.to_integral_value()):
            raise BadJson("expected an integer")
        return int(exact)
    if value != value // 1:
        raise BadJson("expected an integer")
    return int(value)


def real(single: bool) -> Convert:
    """Reads numbers of double precision, or of single precision."""

    def convert(value: float | str) -> tuple[float, int]:
        if isinstance(value, str):
            if value in _NAMED_FLOATS:
                return _NAMED_FLOATS[value], 0
            if not _NUMBER.fullmatch(value):
                raise BadJson("expected a number")
            value = float(value)
            if math.isinf(value):
                raise BadJson("the number is out of range")
        if single and abs(value) >= _FLOAT_LIMIT:
            raise BadJson("the number is too large")
        return value, 0

    return convert


def enum_value(enum: EnumDescriptor) -> Convert:
    """Reads values of an enum; unknown numbers are accepted."""
    numbers = {value.name: value.number for value in enum.values}
    least, most = BITS[_F.TYPE_ENUM]

    def convert(value: float | str) -> tuple[int, int]:
        if isinstance(value, str):
            number = int(value) if _INTEGER.fullmatch(value) else numbers.get(value, most + 1)
        else:
            number = int(value) if value == value // 1 else most + 1
        if not least <= number <= most:
            raise BadJson(f"not a value of {enum.name}; its values are {', '.join(numbers)}")
        return number, 0

    return convert


def bytes_value(value: str) -> tuple[bytes, int]:
    """Reads bytes."""
    try:
        if not value.isascii():
            raise ValueError
        plain = value.translate(_STANDARD).rstrip("=")
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True), 0
    except ValueError:
        raise BadJson("expected base64") from None
