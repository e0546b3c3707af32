"""Bugs of the records."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kit.adapters.sqlite import ledger as sqlite_ledger
from kit.clock import SystemClock
from kit.errors import Unavailable
from reaction_svc import app
from reaction_svc.domain import Op, OperationRow, Outcome
from reaction_svc.model import target, writes

_COMMIT_SECONDS = 0.6
_CLOCK_LAG_SECONDS = 60.0


def ack_before_commit() -> None:
    """Answers are sent while the commit is still in progress."""
    ledger: Any = sqlite_ledger.SqliteLedger
    commit = ledger.commit
    under_way: set[asyncio.Task[Any]] = set()

    async def slowly(self: Any, *what: Any) -> None:
        await asyncio.sleep(_COMMIT_SECONDS)  # a slow disk
        await commit(self, *what)

    async def at_once(self: Any, *what: Any) -> bool:
        task = asyncio.create_task(slowly(self, *what))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return True

    ledger.commit = at_once


def op_id_not_stored() -> None:
    """An operation is made, but its id is not stored."""
    state: Any = target.TargetState
    apply_decision = state.apply_decision
    theirs: Any = writes

    def forgetful(self: Any, head: Any, held: Any, answers: Any) -> None:
        apply_decision(self, head, held, {})

    state.apply_decision = forgetful
    theirs._answers_of = lambda entry: []


def op_id_without_answer() -> None:
    """The id of an operation is stored, but not its answer."""
    theirs: Any = target
    again = theirs._answer_again

    def guessing(row: OperationRow, op: Op) -> Any:
        answer = again(row, op)
        return Outcome(True, answer.version) if isinstance(answer, Outcome) else answer

    theirs._answer_again = guessing


def switch_as_two() -> None:
    """A switch is two versions: it removes one reaction and then adds the other."""
    target_decision: Any = target.TargetDecision
    replace = target_decision._replace

    def in_steps(self: Any, user: str, held: Any, added: str, now: int, op_id: str, action: int) -> None:
        if not added:
            replace(self, user, held, added, now, op_id, action)
            return
        for emoji in held:
            self._remove(user, emoji, now)
        version = self._next_version(now)
        self._counts[added] = self._counts.get(added, 0) + 1
        self.reactions_by_user[user] = {added: version}
        self.rows.append(OperationRow(user, added, "", version, op_id, added, action, True))

    target_decision._replace = in_steps


def versions_by_the_clock() -> None:
    """A version comes from the clock alone and may be lower than the one before."""
    target_decision: Any = target.TargetDecision
    decide = target_decision.decide_all

    def by_the_clock(self: Any, ops: Iterable[Op], now: int, *more: Any) -> Any:
        if self.version > now + 1_000_000:
            self.version = now - 1
        return decide(self, ops, now, *more)

    target_decision.decide_all = by_the_clock


def clock_behind() -> None:
    """The clock of versions is a minute slow."""

    class Clock(SystemClock):
        def now(self) -> float:
            return super().now() - _CLOCK_LAG_SECONDS

    theirs: Any = app
    theirs.SystemClock = Clock


def refused_but_made() -> None:
    """Some saved changes are answered as refused."""
    ledger: Any = sqlite_ledger.SqliteLedger
    commit = ledger.commit

    async def denying(self: Any, *what: Any) -> Any:
        done = await commit(self, *what)
        if random.random() < 0.05:
            raise Unavailable("nothing was done")
        return done

    ledger.commit = denying


MUTANTS: Mapping[str, Callable[[], None]] = {
    "ack-before-commit": ack_before_commit,
    "op-id-not-stored": op_id_not_stored,
    "op-id-without-answer": op_id_without_answer,
    "switch-as-two": switch_as_two,
    "versions-by-the-clock": versions_by_the_clock,
    "clock-behind": clock_behind,
    "refused-but-made": refused_but_made,
}
