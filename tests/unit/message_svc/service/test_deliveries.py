"""Moves in a conversation are merged before they become commands; a call is answered when its moves are durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from kit.clock import ManualClock
from kit.errors import Problem, Unavailable
from kit.message_ids import direct_id
from kit.tasks import task_scope
from message_svc.actions import MarkDelivered
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.service.deliveries import Ack, Deliveries

FIRST, SECOND = direct_id("acme", "alice", "bob"), direct_id("acme", "alice", "carol")


def ack(conversation_id: str, seq: int, user: str = "alice", device: str = "phone") -> Ack:
    return Ack(("acme", conversation_id), user, device, seq)


class Ledger:
    """Records batches of commands; `answer` is that of each."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str, str, int]]] = []
        self.answer: Outcome | Refusal | Problem = Outcome(0)

    async def apply(self, commands: Sequence[Command]) -> Sequence[Outcome | Refusal | Problem]:
        moves = [(each.conversation_id, each.user, each.action) for each in commands]
        self.batches.append(
            [(name, user, act.device, act.seq) for name, user, act in moves if isinstance(act, MarkDelivered)]
        )
        return [self.answer] * len(commands)


@asynccontextmanager
async def recording(ledger: Ledger, clock: ManualClock) -> AsyncIterator[Deliveries]:
    async with task_scope() as tasks:
        deliveries = Deliveries(ledger, clock, tasks)
        tasks.start(deliveries.run())
        yield deliveries


async def test_the_first_move_is_made_immediately_and_those_of_the_next_second_together() -> None:
    ledger, clock = Ledger(), ManualClock()
    async with recording(ledger, clock) as deliveries:
        await deliveries.record([ack(FIRST, 3), ack(SECOND, 4), ack("no conversation", 9)])
        assert ledger.batches == [[(FIRST, "alice", "phone", 3), (SECOND, "alice", "phone", 4)]]
        later = [
            asyncio.create_task(deliveries.record([ack(FIRST, seq, user, device)]))
            for user, device, seq in (
                ("alice", "phone", 7),
                ("alice", "phone", 5),
                ("alice", "pad", 4),
                ("bob", "phone", 6),
            )
        ]
        await asyncio.sleep(0.05)
        assert len(ledger.batches) == 1
        assert not any(task.done() for task in later)
        clock.advance(1.0)
        async with asyncio.timeout(5):
            await asyncio.gather(*later)
    moved = [(FIRST, "alice", "pad", 4), (FIRST, "alice", "phone", 7), (FIRST, "bob", "phone", 6)]
    assert sorted(ledger.batches[1]) == moved
    assert len(ledger.batches) == 2


async def test_a_refused_move_is_omitted_and_a_move_of_unknown_outcome_is_a_failure() -> None:
    ledger, clock = Ledger(), ManualClock()
    async with recording(ledger, clock) as deliveries:
        ledger.answer = Refusal(Reason.NO_MESSAGE)
        await deliveries.record([ack(FIRST, 3)])
        ledger.answer = Unavailable("the store is away")
        with pytest.raises(Unavailable):
            await deliveries.record([ack(SECOND, 3)])
