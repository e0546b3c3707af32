"""Bugs of the records."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kit.clock import SystemClock
from kit.errors import OutcomeUnknown, Unavailable
from reaction_svc import app, domain
from reaction_svc.adapters import sqlite, sqlite_step
from reaction_svc.adapters.waiting import answer, ops_of

_LONG_COMMIT = 0.6  # longer than an answer waits for its counts
_BEHIND = 60.0


def ack_before_commit() -> None:
    """Answers are given while the commit is still under way."""
    store: Any = sqlite.SqliteReactionStore
    commit, beside = store._commit, store._beside

    async def slowly(self: Any, work: Callable[[], object]) -> None:
        await asyncio.sleep(_LONG_COMMIT)  # a slow disk
        await beside(self, work)

    async def write(self: Any) -> None:
        while True:
            await self._queue.grown()
            group = self._queue.take()

            def work(group: Any = group) -> None:
                answer(group, self._apply(ops_of(group)))

            async with self._turn:
                await commit(self, work)
            self._step.committed()
            self._log.notify()

    store._beside, store.write = slowly, write


def op_id_not_stored() -> None:
    """An operation is made, but its id is not remembered."""
    step: Any = sqlite_step.Step
    save = step._save

    def forgetful(self: Any, rows: Mapping[Any, Any], *more: Any) -> Any:
        for row in rows.values():
            row.new_ops = []
        return save(self, rows, *more)

    step._save = forgetful


def op_id_without_answer() -> None:
    """An operation is known to have been made, but not what was answered."""
    draft: Any = domain.Draft
    decide = draft.decide

    def guessing(self: Any, op: domain.Op, now: int, max_emoji: int) -> Any:
        if op.op_id and op.op_id in self.done:
            return domain.Outcome(op.emoji in self.held.get(op.user, {}), self.version)
        return decide(self, op, now, max_emoji)

    draft.decide = guessing


def switch_as_two() -> None:
    """A switch takes one reaction back and then adds the other."""
    draft: Any = domain.Draft
    add = draft._add

    def in_steps(self: Any, user: str, held: Any, added: str, removed: tuple[str, ...], now: int) -> None:
        self._remove(user, held, removed, now)
        add(self, user, held, added, (), now)

    draft._add = in_steps


def versions_by_the_clock() -> None:
    """A version is what the clock says, not more than the one before."""

    draft: Any = domain.Draft
    add, remove = draft._add, draft._remove

    def with_clock(made: Any) -> Any:
        def change(self: Any, user: str, held: Any, *what: Any) -> None:
            if self.version > what[-1] + 1_000_000:
                self.version = what[-1] - 1
            made(self, user, held, *what)

        return change

    draft._add, draft._remove = with_clock(add), with_clock(remove)


def clock_behind() -> None:
    """The clock that versions are made of is a minute behind."""

    class Clock(SystemClock):
        def now(self) -> float:
            return super().now() - _BEHIND

    theirs: Any = app
    theirs.SystemClock = Clock


def refused_but_made() -> None:
    """Now and then what was saved is answered as not done."""
    store: Any = sqlite.SqliteReactionStore
    commit = store._commit

    async def denying(self: Any, work: Callable[[], object]) -> Any:
        done = await commit(self, work)
        if random.random() < 0.05:
            self._step.taken_back()
            raise Unavailable("nothing was done")
        return done

    store._commit = denying


def outbox_dropped() -> None:
    """Facts that the log does not take at once are forgotten."""
    from reaction_svc.adapters import cassandra_outbox

    theirs: Any = cassandra_outbox.Publisher
    append = theirs._append

    async def once(self: Any, *what: Any) -> None:
        self._log = _Forgetful(self._log)
        await append(self, *what)

    theirs._append = once


class _Forgetful:
    """A log that takes everything."""

    def __init__(self, log: Any) -> None:
        self._log = getattr(log, "_log", log)

    async def append(self, *what: Any) -> int:
        with suppress(Unavailable, OutcomeUnknown):
            return int(await self._log.append(*what))
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


BUGS: Mapping[str, Callable[[], None]] = {
    "ack-before-commit": ack_before_commit,
    "op-id-not-stored": op_id_not_stored,
    "op-id-without-answer": op_id_without_answer,
    "switch-as-two": switch_as_two,
    "versions-by-the-clock": versions_by_the_clock,
    "clock-behind": clock_behind,
    "refused-but-made": refused_but_made,
    "outbox-dropped": outbox_dropped,
}
