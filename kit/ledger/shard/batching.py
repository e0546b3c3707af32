"""Batches of calls for one entry: the next batch grows until it is decided. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from kit.errors import Problem
from kit.ledger.calls import CallQueue, PendingCall, answer_all, commands_of, fail_all
from kit.ledger.entry import Entry
from kit.ledger.ports import Decision, Model, Sizer
from kit.ledger.shard.effects import LoadTables
from kit.ledger.shard.limits import ShardLimits

_Command = TypeVar("_Command")
ENTRY_BYTES = 1_000_000
"""The maximum size of an entry: its record on the event log stays below the limit of Kafka, 1 MiB."""


def split_by_size(commands: Sequence[_Command], sizer: Callable[[], Sizer]) -> Iterator[Sequence[_Command]]:
    """Splits commands into parts that fit into one entry each, in order. `sizer` makes a `Sizer` for each part."""
    start, size = 0, sizer()
    for index in range(len(commands)):
        command = commands[index : index + 1]
        if size.add(command) > ENTRY_BYTES and index > start:
            yield commands[start:index]
            start, size = index, sizer()
            size.add(command)
    yield commands[start:] if start else commands


class Batch:
    """Calls that are decided together."""

    def __init__(self, sizer: Sizer | None) -> None:
        """`sizer` limits the size of the entry; None: no limit."""
        self.calls: list[PendingCall] = []
        self.commands: list[Any] = []
        self.loaded_version = -1
        """The version of the state that has all that the batch needs in memory."""
        self.decision: Decision | None = None
        self.entry: Entry | None = None
        self.is_resent = False
        """Whether an earlier attempt of its append may have been committed."""
        self._sizer = sizer
        self._is_full = False

    def fits(self, commands: Sequence[Any]) -> bool:
        """Whether these commands fit into the entry, too. Call it once for commands that are then added."""
        if self._sizer is not None and not self._is_full:
            self._is_full = self._sizer.add(commands) > ENTRY_BYTES
        return not self._is_full

    def extend(self, calls: Sequence[PendingCall]) -> None:
        """Adds calls."""
        self.calls += calls
        self.commands += commands_of(calls)

    def drop_dead_calls(self) -> bool:
        """Removes the calls whose callers have given up; False: none remains."""
        live = [call for call in self.calls if call.is_live()]
        if len(live) < len(self.calls):
            self.calls, self.commands = live, commands_of(live)
        return bool(live)

    def acknowledge(self) -> None:
        """Answers each call."""
        assert self.decision is not None
        answer_all(self.calls, self.decision.answers)


class Batcher:
    """Builds the next batch from the queued calls. `sizer` makes a `Sizer` for each batch."""

    def __init__(
        self, model: Model, queue: CallQueue, limits: ShardLimits, sizer: Callable[[], Sizer] | None = None
    ) -> None:
        self.loading: LoadTables | None = None
        self.awaits_answers = False
        """Whether a small batch waits until callers get earlier answers, because they soon send their next commands."""
        self.linger_until = 0.0
        self._model = model
        self._queue = queue
        self._limits = limits
        self._make_sizer = sizer
        self._next: Batch | None = None
        self._last_size = 0  # commands of the previous batch
        self.has_unacknowledged_batch = False
        """Whether a batch is committed and its callers have no answers yet."""
        self._answered_at = 0.0  # when callers last got answers
        self._is_counted = True  # whether `_expected` takes it into account
        self._linger_start = self._last_arrival = 0.0  # begin of the lingering, and the last new command in it
        self._waiting = 0  # commands at the last look
        self._expected = 0

    def __bool__(self) -> bool:
        return bool(self._queue) or self._next is not None

    def record_answers(self, now: float) -> None:
        """Records that callers have got answers."""
        self._answered_at, self._is_counted = now, False

    def should_linger(self, now: float) -> bool:
        """Whether the next batch, which is small, waits for more commands.

        Callers that were just answered soon send their next command. So a batch lingers until as many commands wait as
        callers are expected, while new ones keep coming. A single caller never waits.
        """
        waiting = self._commands()
        self.awaits_answers = 0 < waiting < self._limits.linger.few and self.has_unacknowledged_batch
        if self.awaits_answers:
            return True
        limits = self._limits.linger
        if not self._is_counted:
            self._is_counted = True
            self._expected = min(limits.few, max(waiting + self._last_size, self._expected * 7 // 8))
        if not self.linger_until:
            if not waiting or self._last_size <= 1 or now - self._answered_at >= limits.quiet_seconds:
                return False
            self._linger_start, self._waiting = now, 0
        if waiting != self._waiting:
            self._waiting, self._last_arrival = waiting, now
        self.linger_until = min(self._linger_start + limits.longest_seconds, self._last_arrival + limits.gap_seconds)
        if waiting < self._expected and now < self.linger_until:
            return True
        self.linger_until = 0.0
        return False

    @property
    def is_lingering(self) -> bool:
        """Whether a new command only joins a batch that lingers."""
        return bool(self.linger_until) and self._commands() < self._expected

    def prepare(self, version: int, applied: int, *, is_busy: bool) -> Batch | LoadTables | None:
        """The next batch once all it needs is in memory; a load to perform; or None.

        `version` is that of the state; the tables are written up to `applied`. While the shard `is_busy` with an
        earlier batch, the next batch also accepts calls that have to be loaded first.
        """
        if self.loading is not None:
            return None
        self._fill(version, is_busy)
        batch = self._next
        if batch is None:
            return None
        if batch.loaded_version != version:
            need = self._model.find_missing(batch.commands)
            if need is not None:
                self.loading = LoadTables(need, applied)
                return self.loading
            batch.loaded_version = version
        return batch

    def pop(self) -> None:
        """Removes the batch, which is decided now; later commands go to another batch."""
        assert self._next is not None
        self._last_size = len(self._next.commands)
        self._next = None

    def loaded(self, found: Any) -> None:
        """Adds the loaded state to the model."""
        assert self.loading is not None
        self._model.add_loaded(self.loading.need, found)
        self.loading = None

    def load_failed(self, problem: Problem) -> None:
        """Fails the calls of the next batch, whose load has failed, with nothing done."""
        self.loading = None
        fail_all(self.abandon(), problem)

    def requeue(self, calls: Sequence[PendingCall]) -> None:
        """Puts calls back in front of the queue, followed by those of the next batch."""
        self._queue.requeue([*calls, *self.abandon()])

    def abandon(self) -> list[PendingCall]:
        """Drops the next batch and returns its calls."""
        batch, self._next = self._next, None
        return batch.calls if batch is not None else []

    def _commands(self) -> int:
        """The number of waiting commands."""
        return self._queue.commands + (len(self._next.commands) if self._next is not None else 0)

    def _fill(self, version: int, is_busy: bool) -> None:
        """Adds queued calls to the next batch, but none that would delay a batch that is ready."""
        if not self._queue:
            return
        batch = self._next or Batch(self._make_sizer() if self._make_sizer is not None else None)
        capacity = self._limits.batch_commands - len(batch.commands)
        calls = self._queue.pop_live(capacity, batch.fits, at_least_one=not batch.calls) if capacity > 0 else []
        if not calls:
            return
        if (
            self._next is None
            or batch.loaded_version != version
            or self._model.find_missing(commands_of(calls)) is None
        ):
            batch.extend(calls)
        elif is_busy:
            batch.extend(calls)
            batch.loaded_version = -1
        else:
            self._queue.requeue(calls)
        self._next = batch
