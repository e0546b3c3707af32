"""Calls that wait to be decided: commands that came together and are answered together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kit.errors import Overloaded


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


class CallQueue:
    """Calls in the order they came."""

    def __init__(self, most: int) -> None:
        """At most so many commands wait."""
        self._most = most
        self._calls: deque[PendingCall] = deque()
        self.commands = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, call: PendingCall) -> None:
        """Adds a call behind the others; raises Overloaded, with nothing done."""
        if self.commands >= self._most:
            raise Overloaded("too many changes wait to be decided; nothing was done", retry_after=0.2)
        self._calls.append(call)
        self.commands += len(call.commands)

    def take(
        self, limit: int, fits: Callable[[Sequence[Any]], bool], *, at_least_one: bool = True
    ) -> list[PendingCall]:
        """The live calls at the front, of `limit` commands at most, as long as their commands fit.

        `at_least_one`: the first comes alone where it is larger.
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

    def put_back(self, calls: Sequence[PendingCall]) -> None:
        """Puts calls that were taken in front of the others again."""
        self._calls.extendleft(reversed(calls))
        self.commands += sum(len(call.commands) for call in calls)

    def drain(self) -> list[PendingCall]:
        """All calls; none is left."""
        calls = list(self._calls)
        self._calls.clear()
        self.commands = 0
        return calls


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
