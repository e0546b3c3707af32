"""Erases the reactions of a user or a target, by ordinary operations, in small steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kit.auth.cursor import Cursors
from kit.errors import Problem
from kit.ids import new_id
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.metrics import ERASED
from reaction_svc.ports import ErasureReads, ReactionLedger

_TARGETS, _USERS = 500, 1_000


class Erasure:
    """Erasures have no state of their own: the tables show what is still to be erased."""

    def __init__(
        self, ledger: ReactionLedger, reads: ErasureReads, cursors: Cursors, new_op_id: Callable[[], str] = new_id
    ) -> None:
        """`new_op_id` makes the ids of operations."""
        self._ledger = ledger
        self._reads = reads
        self._cursors = cursors
        self._new_op_id = new_op_id

    async def person(self, tenant: str, user: str) -> tuple[int, bool]:
        """Erases up to `_TARGETS` targets of a user; returns the number of reactions, and whether all are erased.

        Raises Problem where not all of them are known to be erased.
        """
        erased, budget = 0, _TARGETS
        while budget > 0:
            found = await self._reads.targets_of(tenant, user, budget)
            if not found:
                return erased, True
            await self._apply([(tenant, target, user, Action.ERASE) for target, _ in found])
            erased += _count_erased(found)
            budget -= len(found)
        return erased, False

    async def target(self, who: str, key: TargetKey, token: str) -> tuple[int, str]:
        """Erases up to `_USERS` users of a target; returns the number of reactions, and the token of the next call.

        "" where all are erased. Raises InvalidCursor, and Problem where not all of them are known to be erased.
        """
        scope = ("erase", who, *key)
        after = self._cursors.open(scope, token) if token else ""
        erased, budget = 0, _USERS
        while budget > 0:
            found = await self._reads.holders(*key, after, budget)
            if not found:
                (answer,) = await self._apply([(*key, "", Action.ERASE)])
                # A user has reacted since: start again.
                return erased, self._cursors.seal(scope, "") if answer.on else ""
            await self._apply([(*key, user, Action.CLEAR) for user, _ in found])
            erased += _count_erased(found)
            budget -= len(found)
            after = found[-1][0]
        return erased, self._cursors.seal(scope, after)

    async def _apply(self, asked: Sequence[tuple[str, str, str, Action]]) -> list[Outcome]:
        ops = [Op(tenant, target, user, "", action, self._new_op_id()) for tenant, target, user, action in asked]
        outcomes: list[Outcome] = []
        for answer in (await self._ledger.apply(ops)).answers:
            if isinstance(answer, Problem):
                raise answer
            assert isinstance(answer, Outcome), "these ids are new"
            outcomes.append(answer)
        return outcomes


def _count_erased(found: Sequence[tuple[str, int]]) -> int:
    erased = sum(count for _, count in found)
    ERASED.inc(erased)
    return erased
