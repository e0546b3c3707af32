"""Calls that wait to be decided: commands that came together and are answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kit.errors import Overloaded

ENTRY_BYTES = 1_000_000
"""What an entry may take at most: its record on the event log stays below the limit of Kafka, 1 MiB."""


class PendingCall(Protocol):
    """Commands of one caller for one shard. Exactly one of `answer` and `fail` is called, once, if it is still live."""

    commands: Sequence[Any]
    is_decided: bool
    """Set once its commands were decided and are on their way: from then on its outcome may be unknown."""

    def is_live(self) -> bool:
        """Whether the caller still waits."""
        ...

    def answer(self, answers: Sequence[Any]) -> None:
        """One answer for each command, in order."""
        ...

    def fail(self, error: Exception) -> None:
        """The call failed."""
        ...


class Sizer(Protocol):
    """How large one entry can become."""

    def add(self, commands: Sequence[Any]) -> int:
        """The bytes that it takes at most with these commands behind those that were added before."""
        ...


class CallQueue:
    """Calls in the order they came, and which of them are in the batch that is to be decided next."""

    def __init__(self, most: int, sizer: Callable[[], Sizer] | None = None) -> None:
        """At most so many commands wait. `sizer` makes one for each batch; None: entries may have any size."""
        self._most = most
        self._make_sizer = sizer
        self._calls: deque[PendingCall] = deque()
        self._taken: list[PendingCall] = []
        self._sizer = sizer() if sizer is not None else None
        self.commands = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, call: PendingCall) -> None:
        """Adds a call behind the others; raises Overloaded, with nothing done."""
        if self.commands >= self._most:
            raise Overloaded("too many changes wait to be decided; nothing was done", retry_after=0.2)
        self._calls.append(call)
        self.commands += len(call.commands)

    def take(self, limit: int) -> list[PendingCall]:
        """Live calls for the next batch, of `limit` commands at most; with those that were taken before ENTRY_BYTES.

        Calls that were taken and are neither decided nor answered count as part of the batch. A call that is larger
        comes into a batch of its own.
        """
        if not any(map(_is_undecided, self._taken)):
            self._begin([])
        calls: list[PendingCall] = []
        size = 0
        while self._calls:
            call = self._calls[0]
            if call.is_live():
                size += len(call.commands)
                is_full = size > limit or not self._fits(call)
                if is_full and self._taken:
                    break
                self._taken.append(call)
                calls.append(call)
            self._calls.popleft()
            self.commands -= len(call.commands)
        return calls

    def put_back(self, calls: Sequence[PendingCall]) -> None:
        """Puts calls that were taken in front of the others again."""
        self._calls.extendleft(reversed(calls))
        self.commands += sum(len(call.commands) for call in calls)
        back = set(map(id, calls))
        self._taken = [call for call in self._taken if id(call) not in back]

    def drain(self) -> list[PendingCall]:
        """All calls; none is left."""
        calls = list(self._calls)
        self._calls.clear()
        self.commands = 0
        return calls

    def _fits(self, call: PendingCall) -> bool:
        if self._sizer is None or self._sizer.add(call.commands) <= ENTRY_BYTES:
            return True
        left = list(filter(_is_undecided, self._taken))
        if len(left) == len(self._taken):
            return False
        # Some of what was counted is not in the batch: it was answered meanwhile.
        self._begin(left)
        return self._sizer.add(call.commands) <= ENTRY_BYTES

    def _begin(self, calls: list[PendingCall]) -> None:
        self._taken = calls
        if self._make_sizer is not None:
            self._sizer = self._make_sizer()
            for call in calls:
                self._sizer.add(call.commands)


def _is_undecided(call: PendingCall) -> bool:
    return call.is_live() and not call.is_decided


def commands_of(calls: Iterable[PendingCall]) -> list[Any]:
    """The commands of calls, in order."""
    return [command for call in calls for command in call.commands]


def answer_all(calls: Iterable[PendingCall], answers: Sequence[Any]) -> None:
    """Gives each call its part of the answers to the commands of all."""
    at = 0
    for call in calls:
        behind = at + len(call.commands)
        if call.is_live():
            call.answer(answers[at:behind])
        at = behind


def fail_all(calls: Iterable[PendingCall], error: Exception) -> None:
    """Fails the calls that are still live."""
    for call in calls:
        if call.is_live():
            call.fail(error)
