"""Erases the reactions of a person or a target: in operations like all others, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kit.cursor import Cursors
from kit.errors import Problem
from kit.ids import new_id
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.metrics import ERASED
from reaction_svc.ports import ErasureReads, ReactionLedger

_TARGETS, _PEOPLE = 500, 1_000


class Erasure:
    """Nothing is kept about an erasure: what is left to erase is what the tables still have."""

    def __init__(
        self, ledger: ReactionLedger, reads: ErasureReads, cursors: Cursors, new_op_id: Callable[[], str] = new_id
    ) -> None:
        """`new_op_id` makes the ids of operations."""
        self._ledger = ledger
        self._reads = reads
        self._cursors = cursors
        self._new_op_id = new_op_id

    async def person(self, tenant: str, user: str) -> tuple[int, bool]:
        """Erases up to `_TARGETS` targets of a person: how many reactions that were, and whether nothing was left.

        Raises Problem where not all of them are known to be erased.
        """
        erased, room = 0, _TARGETS
        while room > 0:
            found = await self._reads.targets_of(tenant, user, room)
            if not found:
                return erased, True
            await self._apply([(tenant, target, user, Action.ERASE) for target, _ in found])
            erased += _count_erased(found)
            room -= len(found)
        return erased, False

    async def target(self, who: str, key: TargetKey, token: str) -> tuple[int, str]:
        """Erases up to `_PEOPLE` people of a target: how many reactions that were, and the token of the next call.

        "" where nothing was left. Raises InvalidCursor, and Problem where not all of them are known to be erased.
        """
        scope = ("erase", who, *key)
        after = self._cursors.open(scope, token) if token else ""
        erased, room = 0, _PEOPLE
        while room > 0:
            found = await self._reads.holders(*key, after, room)
            if not found:
                (left,) = await self._apply([(*key, "", Action.ERASE)])
                # Somebody has reacted meanwhile: once more from the beginning.
                return erased, self._cursors.seal(scope, "") if left.on else ""
            await self._apply([(*key, user, Action.CLEAR) for user, _ in found])
            erased += _count_erased(found)
            room -= len(found)
            after = found[-1][0]
        return erased, self._cursors.seal(scope, after)

    async def _apply(self, asked: Sequence[tuple[str, str, str, Action]]) -> list[Outcome]:
        ops = [Op(tenant, target, user, "", action, self._new_op_id()) for tenant, target, user, action in asked]
        outcomes: list[Outcome] = []
        for answer in (await self._ledger.apply(ops)).answers:
            if isinstance(answer, Problem):
                raise answer
            assert isinstance(answer, Outcome), "nobody else can have used these ids"
            outcomes.append(answer)
        return outcomes


def _count_erased(found: Sequence[tuple[str, int]]) -> int:
    erased = sum(held for _, held in found)
    ERASED.inc(erased)
    return erased
