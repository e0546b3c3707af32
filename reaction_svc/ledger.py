"""Executes operations on the shards of the ledger, and returns their answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from kit.cluster.routing import shard_of
from kit.errors import Problem, RemoteError, problem_of_change
from kit.ledger.node import Executed
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.model.sizes import split_by_size
from reaction_svc.ports import ApplyResult, TargetCounts

Execute = Callable[[int, Sequence[Op]], Awaitable[Executed]]


class ShardedReactions:
    """See `ports.ReactionLedger`. `execute` decides operations of one shard, on any node.

    Operations that do not fit into one entry are executed in parts: a target has at most `max_emoji` distinct emoji.
    """

    def __init__(self, shards: int, execute: Execute, max_emoji: int = 20) -> None:
        self._max_emoji = max_emoji
        self._shards = shards
        self._execute = execute

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        """See `ports.ReactionLedger`."""
        if self._shards == 1:
            return await self._apply(0, ops)
        parts: dict[int, list[int]] = {}
        shard, target, tenant = 0, "", ""
        for index, op in enumerate(ops):
            if op[1] != target or op[0] != tenant:
                tenant, target = op[:2]
                shard = shard_of(tenant, target, self._shards)
            parts.setdefault(shard, []).append(index)
        if len(parts) == 1:
            return await self._apply(shard, ops)
        applied = await asyncio.gather(
            *(self._apply(shard, [ops[index] for index in indexes]) for shard, indexes in parts.items())
        )
        answers: list[Outcome | Refusal | Problem] = [Outcome(False, 0)] * len(ops)
        counts: dict[TargetKey, TargetCounts] = {}
        for indexes, part in zip(parts.values(), applied, strict=True):
            counts.update(part.counts)
            for index, answer in zip(indexes, part.answers, strict=True):
                answers[index] = answer
        return ApplyResult(answers, counts)

    async def _apply(self, shard: int, ops: Sequence[Op]) -> ApplyResult:
        parts = list(split_by_size(ops, self._max_emoji))
        if len(parts) == 1:
            return await self._apply_part(shard, ops)
        # One after the other, so that the operations of a target stay in order.
        applied = [await self._apply_part(shard, part) for part in parts]
        counts: dict[TargetKey, TargetCounts] = {}
        for part in applied:
            counts.update(part.counts)
        return ApplyResult([answer for part in applied for answer in part.answers], counts)

    async def _apply_part(self, shard: int, ops: Sequence[Op]) -> ApplyResult:
        try:
            return ApplyResult(*await self._execute(shard, ops))
        except RemoteError as error:
            return ApplyResult([problem_of_change(error)] * len(ops), {})
        except Problem as problem:
            return ApplyResult([problem] * len(ops), {})
