"""A timing wheel: what is due when, for very many members, at the cost of a set entry each."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """A member; `slot` is the wheel's own."""

    slot: int


_T = TypeVar("_T", bound=Timed)


class Wheel(Generic[_T]):
    """Members by the second they are due in. A member beyond the horizon comes up early, to be put in again."""

    def __init__(self, now: float, *, horizon: int = 128, step: float = 1.0) -> None:
        self._slots: list[set[_T]] = [set() for _ in range(horizon)]
        self._step = step
        self._at = int(now / step)

    def put(self, member: _T, due: float) -> None:
        """Puts a member in, or elsewhere if it is in already; it comes up at most one step late."""
        self.drop(member)
        ahead = min(max(int(due / self._step) + 1 - self._at, 1), len(self._slots) - 1)
        member.slot = (self._at + ahead) % len(self._slots)
        self._slots[member.slot].add(member)

    def drop(self, member: _T) -> None:
        """Takes a member out."""
        if member.slot >= 0:
            self._slots[member.slot].discard(member)
            member.slot = -1

    def turn(self, now: float) -> list[_T]:
        """Takes out and returns everyone who has come up by now."""
        come: list[_T] = []
        target = int(now / self._step)
        for _ in range(min(target - self._at, len(self._slots))):
            self._at += 1
            slot = self._slots[self._at % len(self._slots)]
            come.extend(slot)
            slot.clear()
        self._at = max(self._at, target)
        for member in come:
            member.slot = -1
        return come
