"""Messages that devices have acknowledged: moves of cursors, merged before they become commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kit.clock import Clock
from kit.errors import Problem
from kit.merge_windows import MergeLoop, MergeWindows
from kit.message_ids import is_conversation_id
from kit.tasks import TaskScope
from kit.tenant_keys import TargetKey
from message_svc.actions import MarkDelivered
from message_svc.commands import Command
from message_svc.ports import ConversationLedger

WINDOW_SECONDS = 1.0
# Conversations with a move in the last second; of more, moves pass without a window.
_MAX_WINDOWS = 100_000
_Device = tuple[str, str]
"""A user and its device."""


class Ack(NamedTuple):
    """The number of the last message of a conversation that a device has acknowledged."""

    key: TargetKey
    user: str
    device: str
    seq: int


class _Report:
    """What one call has reported. `durable` is done when all of it is durable, with the first problem."""

    __slots__ = ("_remaining", "durable")

    def __init__(self, acks: int) -> None:
        self._remaining = acks
        self.durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, problem: Problem | None) -> None:
        """One ack is durable, or has failed."""
        self._remaining -= 1
        if self.durable.done():
            return
        if problem is not None:
            self.durable.set_exception(problem)
        elif not self._remaining:
            self.durable.set_result(None)


class _Moves:
    """The cursors of some devices in one conversation, and the reports that they are part of."""

    __slots__ = ("cursors", "key", "reports")

    def __init__(self, ack: Ack, report: _Report) -> None:
        self.key = ack.key
        self.cursors: dict[_Device, int] = {(ack.user, ack.device): ack.seq}
        self.reports = [report]

    def merged_with(self, later: _Moves) -> _Moves:
        """Both, in this object: the last message of each device."""
        for device, seq in later.cursors.items():
            self.cursors[device] = max(seq, self.cursors.get(device, 0))
        self.reports += later.reports
        return self

    def commands(self) -> list[Command]:
        """One command for each device."""
        rows = self.cursors.items()
        return [Command(*self.key, user, "", MarkDelivered(seq, device)) for (user, device), seq in rows]


class Deliveries:
    """Of the moves in a conversation the first passes at once, those of the next second together."""

    def __init__(self, ledger: ConversationLedger, clock: Clock, tasks: TaskScope) -> None:
        """`tasks` runs what is to be recorded."""
        self._ledger = ledger
        self._tasks = tasks
        windows = MergeWindows[TargetKey, _Moves](WINDOW_SECONDS, _Moves.merged_with, _MAX_WINDOWS)
        self._merging = MergeLoop(windows, clock, self._pass_on)

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        await self._merging.run()

    async def record(self, acks: Iterable[Ack]) -> None:
        """Records what devices have acknowledged; returns when all of it is durable.

        Leaves out what names no message that the user may see. Raises Problem.
        """
        known = [ack for ack in acks if is_conversation_id(ack.key[1]) and ack.seq > 0]
        if not known:
            return
        report = _Report(len(known))
        self._merging.add_all([(ack.key, _Moves(ack, report)) for ack in known])
        await report.durable

    def _pass_on(self, passing: Sequence[_Moves]) -> None:
        self._tasks.start(self._apply(passing))

    async def _apply(self, passing: Sequence[_Moves]) -> None:
        commands = [moves.commands() for moves in passing]
        answers = iter(await self._ledger.apply([command for some in commands for command in some]))
        for moves, some in zip(passing, commands, strict=True):
            problems = [answer for _, answer in zip(some, answers, strict=False) if isinstance(answer, Problem)]
            for report in moves.reports:
                report.end(problems[0] if problems else None)
