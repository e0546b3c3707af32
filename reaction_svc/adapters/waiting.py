"""Calls of a store that wait for the next batch, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from kit.errors import Overloaded
from reaction_svc.domain import Op, Outcome, Refusal


class Asked(NamedTuple):
    """One call of `apply`, waiting."""

    ops: Sequence[Op]
    answered: asyncio.Future[Sequence[Outcome | Refusal]]


class Queue:
    """Calls of `apply` that wait for a batch."""

    def __init__(self, most: int, at_once: int) -> None:
        """At most so many operations wait, and so many are taken at once, unless one call brings more."""
        self._most = most
        self._at_once = at_once
        self._waiting: deque[Asked] = deque()
        self._wanted = asyncio.Event()
        self.ops = 0

    def add(self, ops: Sequence[Op]) -> asyncio.Future[Sequence[Outcome | Refusal]]:
        """Waits with the others; raises Overloaded."""
        if self.ops >= self._most:
            raise Overloaded("too many changes wait to be saved; nothing was done", retry_after=0.2)
        answered: asyncio.Future[Sequence[Outcome | Refusal]] = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(ops, answered))
        self.ops += len(ops)
        self._wanted.set()
        return answered

    async def grown(self) -> None:
        """Returns once something waits."""
        while not self._waiting:
            self._wanted.clear()
            await self._wanted.wait()

    def take(self) -> list[Asked]:
        """The calls of the next batch; without those whose callers have gone, for whom nothing is done."""
        group: list[Asked] = []
        ops = 0
        while self._waiting and (not group or ops + len(self._waiting[0].ops) <= self._at_once):
            asked = self._waiting.popleft()
            self.ops -= len(asked.ops)
            if not asked.answered.done():
                group.append(asked)
                ops += len(asked.ops)
        return group

    def close(self) -> None:
        """Tells those who still wait."""
        for asked in self._waiting:
            asked.answered.cancel()


def still_asked(group: Sequence[Asked]) -> list[Asked]:
    """Those whose callers have not gone."""
    return [asked for asked in group if not asked.answered.done()]


def ops_of(group: Sequence[Asked]) -> list[Op]:
    """All that is asked for, in order."""
    return [op for asked in group for op in asked.ops]


def answer(group: Sequence[Asked], answers: Sequence[Outcome | Refusal]) -> None:
    """Answers all who asked for this batch."""
    at = 0
    for ops, answered in group:
        if not answered.done():  # otherwise whoever asked has gone; what was asked is done all the same
            answered.set_result(answers[at : at + len(ops)])
        at += len(ops)


def fail(group: Sequence[Asked], error: Exception) -> None:
    """Tells all who asked for this batch that it failed."""
    for asked in still_asked(group):
        asked.answered.set_exception(error)
