"""Pending calls: commands that arrive together and are answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kit.errors import Overloaded


class PendingCall(Protocol):
    """Commands of one caller for one shard. Exactly one of `answer` and `fail` is called, once, if it is still live."""

    commands: Sequence[Any]
    is_decided: bool
    """Set once its commands are decided and sent to the store: from then on its outcome may be unknown."""

    def is_live(self) -> bool:
        """Whether the caller still waits."""
        ...

    def answer(self, answers: Sequence[Any]) -> None:
        """One answer for each command, in order."""
        ...

    def fail(self, error: Exception) -> None:
        """Fails the call."""
        ...


class CallQueue:
    """Calls in order of arrival."""

    def __init__(self, capacity: int) -> None:
        """The queue has at most `capacity` commands."""
        self._capacity = capacity
        self._calls: deque[PendingCall] = deque()
        self.commands = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, call: PendingCall) -> None:
        """Appends a call; raises Overloaded where the queue is full, with nothing done."""
        if self.commands >= self._capacity:
            raise Overloaded("too many changes wait to be decided; nothing was done", retry_after=0.2)
        self._calls.append(call)
        self.commands += len(call.commands)

    def pop_live(
        self, limit: int, fits: Callable[[Sequence[Any]], bool], *, at_least_one: bool = True
    ) -> list[PendingCall]:
        """Removes calls from the front, and returns the live ones: `limit` commands at most, while `fits` is true.

        `at_least_one`: a first call that is larger is returned alone.
        """
        calls: list[PendingCall] = []
        while self._calls:
            call = self._calls[0]
            if call.is_live():
                limit -= len(call.commands)
                is_full = limit < 0 or not fits(call.commands)
                if is_full and (calls or not at_least_one):
                    break
                calls.append(call)
            self._calls.popleft()
            self.commands -= len(call.commands)
        return calls

    def requeue(self, calls: Sequence[PendingCall]) -> None:
        """Puts removed calls back in front of the others."""
        self._calls.extendleft(reversed(calls))
        self.commands += sum(len(call.commands) for call in calls)

    def drain(self) -> list[PendingCall]:
        """Removes all calls and returns them."""
        calls = list(self._calls)
        self._calls.clear()
        self.commands = 0
        return calls


def commands_of(calls: Iterable[PendingCall]) -> list[Any]:
    """The commands of calls, in order."""
    return [command for call in calls for command in call.commands]


def answer_all(calls: Iterable[PendingCall], answers: Sequence[Any]) -> None:
    """Answers each live call with its part of `answers`, which are those to the commands of all calls."""
    start = 0
    for call in calls:
        end = start + len(call.commands)
        if call.is_live():
            call.answer(answers[start:end])
        start = end


def fail_all(calls: Iterable[PendingCall], error: Exception) -> None:
    """Fails the calls that are still live."""
    for call in calls:
        if call.is_live():
            call.fail(error)
