"""Operation ids with a timestamp: which ids are definitely new, and where the answers of the others are stored."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# The canonical text of a UUID of version 7. Such texts sort by time; ten digits of it are used here.
_TIMED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{2}..-7.{21}", re.DOTALL)
_AHEAD_MILLIS = 60_000
_MAX_AHEAD = 16
_SLICE_BITS = 8  # a quarter of a second
_PARTS = 16

is_timed = _TIMED.fullmatch


def millis(op_id: str) -> int:
    """The time of a timed id, milliseconds since 1970, to a quarter of a second."""
    return slice_of(op_id) << _SLICE_BITS


def slice_of(op_id: str) -> int:
    """The slice of a timed id: ids of the same quarter of a second have the same slice."""
    return int(op_id[:8] + op_id[9:11], 16)


class AnswerLocation(NamedTuple):
    """Where an answer is stored: by the time of its id, or by its key where the id is not timed."""

    slice: int
    part: int


def location_of(key: tuple[str, str], op_id: str) -> AnswerLocation:
    """Where the answer to an operation on a key is stored. Slices of timed ids grow with time, others are below 0."""
    key_hash = zlib.crc32("/".join(key).encode())
    if is_timed(op_id) is not None:
        return AnswerLocation(slice_of(op_id), key_hash % _PARTS)
    # The answers of one key are read together. The part is a signed 32-bit number.
    return AnswerLocation(-1 - key_hash, zlib.crc32(op_id.encode()) - (1 << 31))


def locations_of(key: tuple[str, str], op_ids: Sequence[str]) -> dict[AnswerLocation, Sequence[int]]:
    """Where the answers to operations on a key are stored: the indexes of the ids of each location."""
    if op_ids and all(map(is_timed, op_ids)):
        # Texts that sort between two with a common prefix have the prefix, too.
        lowest = min(op_ids)
        if lowest[:11] == max(op_ids)[:11]:
            return {location_of(key, lowest): range(len(op_ids))}
    found: dict[AnswerLocation, Sequence[int]] = {}
    for index, op_id in enumerate(op_ids):
        location = location_of(key, op_id)
        found[location] = (*found.get(location, ()), index)
    return found


def timed_at(millis_: int) -> str:
    """The smallest timed id of that time."""
    digits = f"{max(0, millis_):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def slice_at(millis_: int) -> int:
    """The slice of ids of that time: those of earlier slices are older."""
    return millis_ >> _SLICE_BITS


class OpIdWatermark:
    """Which ids may have been used on a key; an id that was not is definitely new.

    `highest` is the largest timed id used. An id from the future would make all later ids look used, so a few of those
    are stored separately, in `ahead`.
    """

    __slots__ = ("ahead", "highest")

    def __init__(self, highest: str = "", ahead: Iterable[str] = ()) -> None:
        self.highest = highest
        self.ahead = frozenset(ahead)

    def definitely_new(self, op_id: str) -> bool:
        """Whether the id was definitely never used on the key."""
        return op_id > self.highest and op_id not in self.ahead and is_timed(op_id) is not None

    def with_all(self, op_ids: Sequence[str], now: int) -> OpIdWatermark:
        """A new watermark that includes these ids, used at `now`, microseconds since 1970."""
        highest = max(op_ids, default="")
        if is_timed(highest) and millis(highest) <= now // 1000 + _AHEAD_MILLIS:
            # No other id is above it.
            op_ids = (highest,)
        after = OpIdWatermark(self.highest, self.ahead)
        for op_id in op_ids:
            after._add(op_id, now)
        return after

    def _add(self, op_id: str, now: int) -> None:
        # Ids that are not timed are never new.
        if op_id <= self.highest or is_timed(op_id) is None:
            return
        if millis(op_id) > now // 1000 + _AHEAD_MILLIS and len(self.ahead) < _MAX_AHEAD:
            self.ahead |= {op_id}
            return
        self.highest = op_id
        if self.ahead:
            self.ahead = frozenset(each for each in self.ahead if each > op_id)
