"""Operation ids that tell their time: which were surely never used, and where the answers of others are kept."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# A UUID of version 7 in its canonical text: such texts sort by their time, of which ten digits are looked at.
_TIMED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{2}..-7.{21}", re.DOTALL)
_AHEAD_MILLIS = 60_000
_MOST_AHEAD = 16
_SLICE_BITS = 8  # a quarter of a second
_PARTS = 16

is_timed = _TIMED.fullmatch


def millis(op_id: str) -> int:
    """The time of a timed id, milliseconds since 1970, to a quarter of a second."""
    return slice_of(op_id) << _SLICE_BITS


def slice_of(op_id: str) -> int:
    """The slice of a timed id: ids that begin alike, as far as the time goes, have the same."""
    return int(op_id[:8] + op_id[9:11], 16)


class AnswerLocation(NamedTuple):
    """Where an answer is kept: by the time of its id, or where that tells none by its key."""

    slice: int
    part: int


def location_of(key: tuple[str, str], op_id: str) -> AnswerLocation:
    """Where the answer to an operation on a key is kept. Slices of timed ids grow with the time, others are below 0."""
    mark = zlib.crc32("/".join(key).encode())
    if is_timed(op_id) is not None:
        return AnswerLocation(slice_of(op_id), mark % _PARTS)
    # Those of one key are looked for together. As a number of 32 bits with a sign.
    return AnswerLocation(-1 - mark, zlib.crc32(op_id.encode()) - (1 << 31))


def locations_of(key: tuple[str, str], op_ids: Sequence[str]) -> dict[AnswerLocation, Sequence[int]]:
    """Where the answers to operations on a key are kept: to each place the indexes of its ids."""
    if op_ids and all(map(is_timed, op_ids)):
        # Texts between two that begin alike begin like them.
        lowest = min(op_ids)
        if lowest[:11] == max(op_ids)[:11]:
            return {location_of(key, lowest): range(len(op_ids))}
    found: dict[AnswerLocation, Sequence[int]] = {}
    for index, op_id in enumerate(op_ids):
        place = location_of(key, op_id)
        found[place] = (*found.get(place, ()), index)
    return found


def timed_at(millis_: int) -> str:
    """The smallest timed id of that time."""
    digits = f"{max(0, millis_):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def slice_at(millis_: int) -> int:
    """The slice of ids of that time: those of earlier slices are older."""
    return millis_ >> _SLICE_BITS


class OpIdWatermark:
    """What must be known of the ids used on a key to tell surely new ones from all others.

    `highest` is the largest timed id used; one from the future would make every later id look used, so the few of
    those are kept by themselves, in `ahead`.
    """

    __slots__ = ("ahead", "highest")

    def __init__(self, highest: str = "", ahead: Iterable[str] = ()) -> None:
        self.highest = highest
        self.ahead = frozenset(ahead)

    def definitely_new(self, op_id: str) -> bool:
        """Whether no id noted here can have been this one."""
        return op_id > self.highest and op_id not in self.ahead and is_timed(op_id) is not None

    def with_all(self, op_ids: Sequence[str], now: int) -> OpIdWatermark:
        """The watermark after these ids were used at `now`, microseconds since 1970; this one stays as it is."""
        highest = max(op_ids, default="")
        if is_timed(highest) and millis(highest) <= now // 1000 + _AHEAD_MILLIS:
            # None of the others is above it.
            op_ids = (highest,)
        after = OpIdWatermark(self.highest, self.ahead)
        for op_id in op_ids:
            after._add(op_id, now)
        return after

    def _add(self, op_id: str, now: int) -> None:
        # Ids that are not timed are never new.
        if op_id <= self.highest or is_timed(op_id) is None:
            return
        if millis(op_id) > now // 1000 + _AHEAD_MILLIS and len(self.ahead) < _MOST_AHEAD:
            self.ahead |= {op_id}
            return
        self.highest = op_id
        if self.ahead:
            self.ahead = frozenset(each for each in self.ahead if each > op_id)
