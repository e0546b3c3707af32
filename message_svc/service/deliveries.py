"""Messages that devices have acknowledged: moves of cursors, merged before they become commands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kit.clock import Clock
from kit.errors import Problem
from kit.merge_windows import MergeLoop, MergeWindows
from kit.message_ids import is_conversation_id
from kit.tasks import TaskScope
from message_svc.commands import Command, MarkDelivered
from message_svc.ports import ConversationLedger

WINDOW_SECONDS = 1.0
# Members of conversations with a move in the last second; of more, moves pass without a window.
_MAX_WINDOWS = 100_000


class MemberKey(NamedTuple):
    """A member of a conversation."""

    tenant: str
    conversation_id: str
    user: str


class Move(NamedTuple):
    """The cursors of some devices of a member. `waiting`: the calls to answer when they are durable."""

    key: MemberKey
    devices: Mapping[str, int]
    waiting: tuple[asyncio.Future[None], ...]

    def merged_with(self, later: Move) -> Move:
        """Both, as one: the last message of each device."""
        devices = dict(self.devices)
        for device, seq in later.devices.items():
            devices[device] = max(seq, devices.get(device, 0))
        return Move(self.key, devices, self.waiting + later.waiting)

    def commands(self) -> list[Command]:
        """One command for each device."""
        return [Command(*self.key, "", MarkDelivered(seq, device)) for device, seq in self.devices.items()]


class Deliveries:
    """Of the moves of a member the first passes at once, those of the next second together."""

    def __init__(self, ledger: ConversationLedger, clock: Clock, tasks: TaskScope) -> None:
        """`tasks` runs what is to be recorded."""
        self._ledger = ledger
        self._tasks = tasks
        windows = MergeWindows[MemberKey, Move](WINDOW_SECONDS, Move.merged_with, _MAX_WINDOWS)
        self._merging = MergeLoop(windows, clock, self._pass_on)

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        await self._merging.run()

    async def record(self, tenant: str, user: str, device: str, cursors: Mapping[str, int]) -> None:
        """Records the last message, by conversation, that a device has acknowledged; returns when all are durable.

        Leaves out what names no message that the user may see. Raises Problem.
        """
        loop = asyncio.get_running_loop()
        moves: list[tuple[MemberKey, Move]] = []
        for conversation_id, seq in cursors.items():
            if is_conversation_id(conversation_id) and seq > 0:
                key = MemberKey(tenant, conversation_id, user)
                moves.append((key, Move(key, {device: seq}, (loop.create_future(),))))
        self._merging.add_all(moves)
        if moves:
            results = await asyncio.gather(*(move.waiting[0] for _, move in moves), return_exceptions=True)
            for problem in results:
                if isinstance(problem, BaseException):
                    raise problem

    def _pass_on(self, moves: Sequence[Move]) -> None:
        self._tasks.start(self._apply(moves))

    async def _apply(self, moves: Sequence[Move]) -> None:
        commands = [move.commands() for move in moves]
        answers = iter(await self._ledger.apply([command for some in commands for command in some]))
        for move, some in zip(moves, commands, strict=True):
            problems = [answer for _, answer in zip(some, answers, strict=False) if isinstance(answer, Problem)]
            for waiting in move.waiting:
                if waiting.done():
                    continue
                if problems:
                    waiting.set_exception(problems[0])
                else:
                    waiting.set_result(None)
