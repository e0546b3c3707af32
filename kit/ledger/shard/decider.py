"""Decides the commands of a shard in batches, and appends one entry at a time. No I/O, no clock.

No batch is decided while the outcome of the last append is unknown. A decision becomes part of the state once its entry
is durable.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from kit.errors import OutcomeUnknown, Overloaded, Problem, Unavailable
from kit.ledger.backoff import NEVER, Backoff
from kit.ledger.calls import CallQueue, PendingCall, fail_all
from kit.ledger.entry import Entry
from kit.ledger.ports import Model, Page
from kit.ledger.shard.append_outcome import AppendOutcome, append_outcome, check_tail, has_gap
from kit.ledger.shard.batching import Batch, Batcher
from kit.ledger.shard.effects import Append, Effect, LoadTables, ReadEntries, ReadTail
from kit.ledger.shard.events import Committed, Confirmed, Event, Restart
from kit.ledger.shard.limits import ShardLimits
from kit.ledger.shard.replay import PAGE, check_order


class Decider:
    """See the module. `new_id` makes append ids; `rng` adds jitter to pauses."""

    def __init__(
        self,
        model: Model,
        queue: CallQueue,
        limits: ShardLimits,
        *,
        is_atomic: bool,
        new_id: Callable[[], str],
        rng: random.Random,
    ) -> None:
        self.position = 0
        """The position of the last entry that is part of the state."""
        self.last_stamp = 0
        self.last_active_at = 0.0
        self._model = model
        # The entries of an atomic store are not published elsewhere, so no record limit applies to them.
        self._batcher = Batcher(model, queue, limits, None if is_atomic else model.sizer)
        self._limits = limits
        self._is_atomic = is_atomic
        self._new_id = new_id
        self._rng = rng
        self._version = 0  # increases with every change of the state in memory
        self._current: Batch | None = None
        self._in_flight: Effect | None = None
        self._effects: list[Effect] = []
        self._stored_answers: list[Batch] = []
        self._is_outcome_unknown = self._must_catch_up = False
        self._backoff = Backoff(rng)
        self._contended_until = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no command waits and no effect is in flight."""
        return not (self._in_flight or self._current or self._must_catch_up or self._batcher or self.loading)

    @property
    def loading(self) -> LoadTables | None:
        """The load in flight for the next batch."""
        return self._batcher.loading

    @property
    def will_poll_again(self) -> bool:
        """Whether a new command is decided at a later `poll` that is due anyway."""
        return self._is_atomic and (self._in_flight is not None or self._batcher.is_lingering)

    def start(self, position: int, last_stamp: int, now: float) -> None:
        """Begins after the entry at `position`."""
        self.position, self.last_stamp = position, last_stamp
        self.last_active_at = now
        self._version += 1

    def observe_tail(self, tail: int) -> None:
        """Compares the last position of the store: another node may have appended."""
        if tail > self.position:
            self._must_catch_up = True

    def poll(self, now: float, micros: int, applied: int, unpublished_entries: int) -> tuple[list[Effect], list[Batch]]:
        """Returns the effects to perform now, and the batches whose answers were all stored before.

        `applied`: the tables are written up to this position; `unpublished_entries`: the number of entries that are not
        on the event log.
        """
        self._effects, self._stored_answers = [], []
        self._batcher.awaits_answers = False
        if self._batcher.has_unacknowledged_batch and applied >= self.position:
            self._batcher.has_unacknowledged_batch = False
            self._batcher.record_answers(now)
        if self._in_flight is None and now >= self._backoff.until:
            self._next_step(now, micros, applied, unpublished_entries)
        if not self._is_atomic and (self._in_flight is not None or self._batcher.awaits_answers):
            self._prepare(applied)
        return self._effects, self._stored_answers

    def next_at(self) -> float:
        """The time of the next step, or `NEVER`."""
        waits = self._batcher or self._current or self._must_catch_up
        if not waits or self._batcher.awaits_answers or self._in_flight is not None or self.loading is not None:
            return NEVER
        return max(self._backoff.until, self._contended_until, self._batcher.linger_until)

    def done(self, effect: Effect, result: Any, now: float) -> Event | None:
        """Records the result of an effect, and returns the event that follows. Raises CorruptEntry, NewerFormat."""
        if effect is self.loading:
            self._batcher.loaded(result)
            self._version += 1
            return None
        if effect is not self._in_flight:
            return None
        self._in_flight = None
        match effect:
            case Append():
                self._batcher.record_answers(now)
                if result:
                    self._backoff.succeeded()
                    return self._commit_current()
                self._is_outcome_unknown = True
                return None
            case ReadEntries(why="resolve"):
                return self._resolve_append(result, now)
            case ReadEntries():
                self._backoff.succeeded()
                return self._catch_up(result, now)
            case _:
                self._backoff.succeeded()
                return self._confirmed(result)

    def failed(self, effect: Effect, error: Exception, now: float) -> None:
        """Records that an effect has failed with Unavailable or OutcomeUnknown."""
        if effect is self.loading:
            self._batcher.load_failed(_nothing_done(error))
            self._backoff.failed(now)
            return
        if effect is not self._in_flight:
            return
        self._in_flight = None
        if isinstance(effect, Append):
            self._batcher.record_answers(now)
            batch = self._current
            if not isinstance(error, Unavailable) or (batch is not None and batch.is_resent):
                self._is_outcome_unknown = True
                return
            self._backoff.failed(now)
            self._fail_current(error)  # it was not sent
        else:
            self._backoff.failed(now)
            if isinstance(effect, ReadTail):
                self._fail_current(_nothing_done(error))

    def abandon(self) -> tuple[list[PendingCall], list[PendingCall]]:
        """Drops all batches. Returns the calls that were decided, whose outcome is unknown, and the undecided ones."""
        decided: list[PendingCall] = []
        waiting: list[PendingCall] = []
        if self._current is not None:
            (decided if self._current.entry is not None else waiting).extend(self._current.calls)
        self._current = None
        return decided, [*waiting, *self._batcher.abandon()]

    def _next_step(self, now: float, micros: int, applied: int, unpublished_entries: int) -> None:
        entry = self._current.entry if self._current is not None else None
        if entry is not None and self._is_outcome_unknown:
            self._emit(ReadEntries(entry.position - 1, 1, "resolve"))
        elif entry is not None:
            self._append()  # the same append again
        elif self._must_catch_up:
            self._emit(ReadEntries(self.position, PAGE, "catch up"))
        elif now >= self._contended_until and not self._batcher.should_linger(now):
            while (batch := self._prepare(applied)) is not None:
                self._batcher.pop()
                if not self._decide(batch, now, micros, applied, unpublished_entries):
                    return

    def _prepare(self, applied: int) -> Batch | None:
        ready = self._batcher.prepare(self._version, applied, is_busy=self._in_flight is not None)
        if isinstance(ready, LoadTables):
            self._effects.append(ready)
            return None
        return ready

    def _decide(self, batch: Batch, now: float, micros: int, applied: int, unpublished_entries: int) -> bool:
        """Decides a batch; True where it needs no effect, so that the next batch can be decided."""
        if not batch.drop_dead_calls():
            return True
        if self.position - applied >= self._limits.unapplied_entries:
            fail_all(batch.calls, Overloaded("the tables cannot keep up; nothing was done", retry_after=0.2))
            return True
        if unpublished_entries >= self._limits.unpublished_entries:
            fail_all(batch.calls, Overloaded("the event log is away for too long; nothing was done", retry_after=5.0))
            return True
        decision = batch.decision = self._model.decide(batch.commands, micros, self.last_stamp)
        self.last_active_at = now
        if decision.payload is None and decision.is_certain:
            self._stored_answers.append(batch)
            return True
        self._current = batch
        if decision.payload is not None:
            batch.entry = Entry(self.position + 1, self._new_id(), decision.stamp, decision.payload)
            for call in batch.calls:
                call.is_decided = True
            self._append()
        else:
            # Other nodes may have appended: an answer from memory has to be confirmed by the last position.
            self._emit(ReadTail(confirm=True))
        return False

    def _append(self) -> None:
        batch = self._current
        assert batch is not None
        assert batch.entry is not None
        self._emit(Append(batch.entry, self._model.decision_writes(batch.decision) if self._is_atomic else None))

    def _emit(self, effect: Effect) -> None:
        self._in_flight = effect
        self._effects.append(effect)

    def _commit_current(self) -> Committed:
        batch, self._current = self._current, None
        assert batch is not None
        assert batch.entry is not None
        assert batch.decision is not None
        self._is_outcome_unknown = False
        self._batcher.has_unacknowledged_batch = not self._is_atomic
        self.position, self.last_stamp = batch.entry.position, batch.entry.stamp
        self._version += 1
        self._model.commit(self.position, batch.decision)
        return Committed((batch.entry,), batch)

    def _resolve_append(self, page: Page, now: float) -> Event | None:
        batch = self._current
        assert batch is not None
        assert batch.entry is not None
        self._is_outcome_unknown = False
        match append_outcome(batch.entry, page):
            case AppendOutcome.COMMITTED:
                self._backoff.succeeded()
                return self._commit_current()
            case AppendOutcome.REJECTED:
                self._requeue_current()
                self._must_catch_up = True
                return None
            case AppendOutcome.ABSENT:
                batch.is_resent = True
                self._backoff.failed(now)  # the same append again, after a pause
                return None
            case AppendOutcome.TRIMMED:
                fail_all(batch.calls, OutcomeUnknown("this node stood still for too long; retry with the same op_id"))
                self._current = None
                return Restart()

    def _catch_up(self, page: Page, now: float) -> Event | None:
        check_tail(page, self.position)
        if has_gap(page, self.position):
            return Restart()
        check_order(page.entries, self.position + 1, self.last_stamp)
        for entry in page.entries:
            self._model.replay(entry)
            self.position, self.last_stamp = entry.position, entry.stamp
            self._version += 1
        if self.position >= page.tail:
            self._must_catch_up = False
            self._contended_until = now + self._rng.uniform(0.0, self._limits.contention_seconds)
        return Committed(page.entries) if page.entries else None

    def _confirmed(self, tail: int) -> Event | None:
        batch = self._current
        if batch is None:
            return None
        if tail == self.position:
            self._current = None
            return Confirmed(batch)
        self._requeue_current()
        self._must_catch_up = True
        return None

    def _requeue_current(self) -> None:
        """Decides the current batch again, because its entry was not appended; later calls follow it."""
        batch, self._current = self._current, None
        assert batch is not None
        for call in batch.calls:
            call.is_decided = False
        self._batcher.requeue(batch.calls)

    def _fail_current(self, error: Exception) -> None:
        batch, self._current = self._current, None
        if batch is not None:
            fail_all(batch.calls, error)


def _nothing_done(error: Exception) -> Problem:
    if isinstance(error, Unavailable):
        return error
    return Unavailable("nothing was done", retry_after=0.2, detail=str(error))
