"""Operation ids that tell their time: which of them can never have been seen before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# A UUID of version 7 in its canonical text: such texts sort by their time.
_TIMED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_AHEAD_MILLIS = 60_000
_MOST_AHEAD = 16

is_timed = _TIMED.fullmatch


def millis(op_id: str) -> int:
    """The time of a timed id, milliseconds since 1970."""
    return int(op_id[:8] + op_id[9:13], 16)


class Floor:
    """What must be known of the ids used on a target to tell surely new ones from all others.

    `highest` is the largest timed id used; one from the future would make every later id look used, so the few of
    those are kept by themselves, in `ahead`.
    """

    __slots__ = ("ahead", "highest")

    def __init__(self, highest: str = "", ahead: Iterable[str] = ()) -> None:
        self.highest = highest
        self.ahead = set(ahead)

    def surely_new(self, op_id: str) -> bool:
        """Whether no id noted here can have been this one."""
        return op_id > self.highest and op_id not in self.ahead and is_timed(op_id) is not None

    def note_all(self, op_ids: Sequence[str], now: int) -> None:
        """Remembers ids used at `now`, as `note` does."""
        highest = max(op_ids, default="")
        if is_timed(highest) and millis(highest) <= now // 1000 + _AHEAD_MILLIS:
            self.note(highest, now)  # none of the others is above it
            return
        for op_id in op_ids:
            self.note(op_id, now)

    def note(self, op_id: str, now: int) -> None:
        """Remembers that an id was used at `now` (microseconds since 1970). Ids that are not timed are never new."""
        if op_id <= self.highest or is_timed(op_id) is None:
            return
        if millis(op_id) > now // 1000 + _AHEAD_MILLIS and len(self.ahead) < _MOST_AHEAD:
            self.ahead.add(op_id)
            return
        self.highest = op_id
        if self.ahead:
            self.ahead = {each for each in self.ahead if each > op_id}
