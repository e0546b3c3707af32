"""Executes commands on the shards of the ledger, and returns their answers in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from kit.errors import Problem, RemoteError, problem_of_change
from kit.ledger.node import Executed
from kit.ledger.shard.batching import split_by_size
from message_svc.commands import Command, Outcome, Refusal
from message_svc.metrics import COMMANDS
from message_svc.model.sizes import EntrySizer

LEDGER = "messages"
"""The name of the ledger, and of its topic on the event log."""
Execute = Callable[[int, Sequence[Command]], Awaitable[Executed]]
ShardOf = Callable[[str, str, int], int]


class ShardedConversations:
    """See `ports.ConversationLedger`. `execute` decides commands of one shard, on any node.

    Commands that do not fit into one entry are executed in parts.
    """

    def __init__(self, shards: int, execute: Execute, shard_of: ShardOf) -> None:
        self._shards = shards
        self._execute = execute
        self._shard_of = shard_of

    async def apply(self, commands: Sequence[Command]) -> Sequence[Outcome | Refusal | Problem]:
        """See `ports.ConversationLedger`."""
        parts: dict[int, list[int]] = {}
        for index, command in enumerate(commands):
            parts.setdefault(self._shard_of(*command.key, self._shards), []).append(index)
        applied = await asyncio.gather(
            *(self._apply(shard, [commands[index] for index in indexes]) for shard, indexes in parts.items())
        )
        answers: list[Outcome | Refusal | Problem] = [Outcome(0)] * len(commands)
        for indexes, part in zip(parts.values(), applied, strict=True):
            for index, answer in zip(indexes, part, strict=True):
                answers[index] = answer
        outcomes = Counter(
            (type(one.action), _outcome_of(answer)) for one, answer in zip(commands, answers, strict=True)
        )
        for (action, outcome), count in outcomes.items():
            COMMANDS.labels(action.__name__, outcome).inc(count)
        return answers

    async def _apply(self, shard: int, commands: Sequence[Command]) -> list[Outcome | Refusal | Problem]:
        # One part after the other, so that the commands of a conversation stay in order.
        answers: list[Outcome | Refusal | Problem] = []
        for part in split_by_size(commands, EntrySizer):
            try:
                answers += (await self._execute(shard, part)).answers
            except RemoteError as error:
                answers += [problem_of_change(error)] * len(part)
            except Problem as problem:
                answers += [problem] * len(part)
        return answers


def _outcome_of(answer: Outcome | Refusal | Problem) -> str:
    if isinstance(answer, Refusal):
        return answer.reason.value
    return "ok" if isinstance(answer, Outcome) else type(answer).__name__
