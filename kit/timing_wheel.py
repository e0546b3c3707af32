"""A timing wheel: timers of very many members, at the cost of one set entry each."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Scheduled(Protocol):
    """A member; only the wheel changes `slot`."""

    slot: int


_T = TypeVar("_T", bound=Scheduled)


class TimingWheel(Generic[_T]):
    """Members by the second in which they are due. A member due beyond the horizon comes out early: put it in again."""

    def __init__(self, now: float, *, horizon: int = 128, step: float = 1.0) -> None:
        self._slots: list[set[_T]] = [set() for _ in range(horizon)]
        self._step = step
        self._position = int(now / step)

    def put(self, member: _T, due: float) -> None:
        """Schedules a member, again if it is scheduled already; it comes out at most one step late."""
        self.remove(member)
        distance = min(max(int(due / self._step) + 1 - self._position, 1), len(self._slots) - 1)
        member.slot = (self._position + distance) % len(self._slots)
        self._slots[member.slot].add(member)

    def remove(self, member: _T) -> None:
        """Removes a member, if it is scheduled."""
        if member.slot >= 0:
            self._slots[member.slot].discard(member)
            member.slot = -1

    def advance(self, now: float) -> list[_T]:
        """Removes and returns all members that are due by now."""
        due: list[_T] = []
        target = int(now / self._step)
        for _ in range(min(target - self._position, len(self._slots))):
            self._position += 1
            slot = self._slots[self._position % len(self._slots)]
            due.extend(slot)
            slot.clear()
        self._position = max(self._position, target)
        for member in due:
            member.slot = -1
        return due
