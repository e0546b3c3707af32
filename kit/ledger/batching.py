"""Calls gathered for one entry: the next batch fills until it is decided. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kit.errors import Problem
from kit.ledger.calls import CallQueue, PendingCall, answer_all, commands_of, fail_all
from kit.ledger.effects import Load
from kit.ledger.entry import Entry
from kit.ledger.limits import ShardLimits
from kit.ledger.ports import Decision, Model, Sizer

ENTRY_BYTES = 1_000_000
"""What an entry may take at most: its record on the event log stays below the limit of Kafka, 1 MiB."""


class Batch:
    """Calls that are decided together."""

    def __init__(self, sizer: Sizer | None) -> None:
        """None: the entry may have any size."""
        self.calls: list[PendingCall] = []
        self.commands: list[Any] = []
        self.seen = -1
        """The version of the state for which nothing has to be loaded."""
        self.decision: Decision | None = None
        self.entry: Entry | None = None
        self.is_resent = False
        """Whether an earlier attempt of its append may have landed."""
        self._sizer = sizer
        self._is_full = False

    def fits(self, commands: Sequence[Any]) -> bool:
        """Whether an entry has room for these, too; asked once for what is then added."""
        if self._sizer is not None and not self._is_full:
            self._is_full = self._sizer.add(commands) > ENTRY_BYTES
        return not self._is_full

    def extend(self, calls: Sequence[PendingCall]) -> None:
        """More calls are decided with it."""
        self.calls += calls
        self.commands += commands_of(calls)

    def forget_dead(self) -> bool:
        """Leaves out the calls whose callers have given up; False: none is left."""
        live = [call for call in self.calls if call.is_live()]
        if len(live) < len(self.calls):
            self.calls, self.commands = live, commands_of(live)
        return bool(live)

    def acknowledge(self) -> None:
        """Gives each call its answers."""
        assert self.decision is not None
        answer_all(self.calls, self.decision.answers)


class Batcher:
    """Makes the batch that is decided next of the calls that wait. `sizer` makes one for each batch."""

    def __init__(
        self, model: Model, queue: CallQueue, limits: ShardLimits, sizer: Callable[[], Sizer] | None = None
    ) -> None:
        self.loading: Load | None = None
        self.is_waiting = False
        """Whether few commands wait for earlier answers: those who get them soon bring the next."""
        self.gather_until = 0.0
        self._model = model
        self._queue = queue
        self._limits = limits
        self._make_sizer = sizer
        self._next: Batch | None = None
        self._last = 0  # commands of the batch before
        self.are_answers_due = False
        """Whether a batch is committed whose callers have no answers yet."""
        self._answered_at = 0.0  # when callers last got answers
        self._is_counted = True  # whether that is part of what is expected
        self._began = self._came = 0.0  # when the first and the last of those came that wait
        self._waiting = 0  # commands when that was looked at last
        self._expected = 0

    def __bool__(self) -> bool:
        return bool(self._queue) or self._next is not None

    def answered(self, now: float) -> None:
        """Callers have got answers."""
        self._answered_at, self._is_counted = now, False

    def gathers(self, now: float) -> bool:
        """Whether the next batch, which is small, waits for more.

        Until as many wait as were answered and waited then, for they soon bring the next; as long as commands come one
        after the other; who calls alone never waits.
        """
        waiting = self._commands()
        self.is_waiting = 0 < waiting < self._limits.gather.few and self.are_answers_due
        if self.is_waiting:
            return True
        limits = self._limits.gather
        if not self._is_counted:
            self._is_counted = True
            self._expected = min(limits.few, max(waiting + self._last, self._expected * 7 // 8))
        if not self.gather_until:
            if not waiting or self._last <= 1 or now - self._answered_at >= limits.quiet_seconds:
                return False
            self._began, self._waiting = now, 0
        if waiting != self._waiting:
            self._waiting, self._came = waiting, now
        self.gather_until = min(self._began + limits.longest_seconds, self._came + limits.gap_seconds)
        if waiting < self._expected and now < self.gather_until:
            return True
        self.gather_until = 0.0
        return False

    @property
    def is_gathering(self) -> bool:
        """Whether what comes now only joins others that wait."""
        return bool(self.gather_until) and self._commands() < self._expected

    def prepare(self, version: int, applied: int, *, is_busy: bool) -> Batch | Load | None:
        """The next batch once all it needs is in memory; a load where that has just been asked for.

        `version` is that of the state, `applied` up to where its tables are written. As long as the shard `is_busy`
        with an earlier batch, this one may be held up for what its calls need.
        """
        if self.loading is not None:
            return None
        self._fill(version, is_busy)
        batch = self._next
        if batch is None:
            return None
        if batch.seen != version:
            need = self._model.need(batch.commands)
            if need is not None:
                self.loading = Load(need, applied)
                return self.loading
            batch.seen = version
        return batch

    def take(self) -> None:
        """The batch is about to be decided: what comes now is for another."""
        assert self._next is not None
        self._last = len(self._next.commands)
        self._next = None

    def loaded(self, found: Any) -> None:
        """What was asked for is there."""
        assert self.loading is not None
        self._model.loaded(self.loading.need, found)
        self.loading = None

    def load_failed(self, problem: Problem) -> None:
        """The read failed: the calls that need it fail, with nothing done."""
        self.loading = None
        fail_all(self.abandon(), problem)

    def put_back(self, calls: Sequence[PendingCall]) -> None:
        """Calls that were taken are decided later, and what was behind them behind them."""
        self._queue.put_back([*calls, *self.abandon()])

    def abandon(self) -> list[PendingCall]:
        """Gives up the next batch; its calls."""
        batch, self._next = self._next, None
        return batch.calls if batch is not None else []

    def _commands(self) -> int:
        """How many commands wait."""
        return self._queue.commands + (len(self._next.commands) if self._next is not None else 0)

    def _fill(self, version: int, is_busy: bool) -> None:
        """Takes what has come meanwhile, but nothing for which a batch that could go now would have to wait."""
        if not self._queue:
            return
        batch = self._next or Batch(self._make_sizer() if self._make_sizer is not None else None)
        room = self._limits.commands_at_once - len(batch.commands)
        calls = self._queue.take(room, batch.fits, at_least_one=not batch.calls) if room > 0 else []
        if not calls:
            return
        if self._next is None or batch.seen != version or self._model.need(commands_of(calls)) is None:
            batch.extend(calls)
        elif is_busy:
            batch.extend(calls)
            batch.seen = -1
        else:
            self._queue.put_back(calls)
        self._next = batch
