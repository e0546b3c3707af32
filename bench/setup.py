"""The setup of a run: its length, and the order of measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")


class Length(IntEnum):
    """The length of rounds."""

    QUICK = 0
    NORMAL = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class Setup:
    """The options of one run."""

    length: Length = Length.NORMAL

    def pick(self, quick: float, normal: float, full: float) -> float:
        """The value for this run's length."""
        return (quick, normal, full)[self.length]


def alternating(ours: Callable[[], T], reference: Callable[[], T]) -> tuple[list[T], list[T]]:
    """A-B-A: ours, the reference, ours again, so that drift of the machine is visible and averaged."""
    first = ours()
    between = reference()
    return [first, ours()], [between]


def noted(*notes: Iterable[str]) -> list[str]:
    """The distinct notes, in order."""
    return list(dict.fromkeys(note for some in notes for note in some))
