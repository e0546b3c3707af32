"""The deciding lane of a shard: batches of commands become entries, one append at a time. No I/O, no clock.

Nothing is decided while the outcome of the last append is not known, and nothing that was decided is part of the state
before its entry is durable.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from kit.errors import OutcomeUnknown, Overloaded, Problem, Unavailable
from kit.ledger.batching import Batch, Batcher
from kit.ledger.calls import CallQueue, PendingCall, fail_all
from kit.ledger.effects import Append, Effect, Load, Read, Tail
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry
from kit.ledger.events import Answered, Event, Landed, StartOver
from kit.ledger.lanes import Backoff
from kit.ledger.limits import ShardLimits
from kit.ledger.ports import Model, Page
from kit.ledger.replay import PAGE, check_order

_NEVER = float("inf")


class Deciding:
    """See the module. `new_id` makes append ids; `rng` only spreads pauses."""

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
        """The last entry that is part of the state."""
        self.last_stamp = 0
        self.worked_at = 0.0
        self._model = model
        # Entries of an atomic store go to no other event log, whose records have a limit.
        self._batcher = Batcher(model, queue, limits, None if is_atomic else model.sizer)
        self._limits = limits
        self._is_atomic = is_atomic
        self._new_id = new_id
        self._rng = rng
        self._version = 0  # grows with every change of the state in memory
        self._current: Batch | None = None
        self._under_way: Effect | None = None
        self._wanted: list[Effect] = []
        self._answered: list[Batch] = []
        self._is_settling = self._is_behind = False
        self._backoff = Backoff(rng)
        self._contended_until = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not (self._under_way or self._current or self._is_behind or self._batcher or self.loading)

    @property
    def loading(self) -> Load | None:
        """What is being read for the next batch."""
        return self._batcher.loading

    @property
    def takes_more(self) -> bool:
        """Whether a command that comes now is decided later, without a poll for it."""
        return self._is_atomic and (self._under_way is not None or self._batcher.is_gathering)

    def serve(self, position: int, last_stamp: int, now: float) -> None:
        """Begins behind an entry."""
        self.position, self.last_stamp = position, last_stamp
        self.worked_at = now
        self._version += 1

    def fall_behind(self, tail: int) -> None:
        """Another node has appended."""
        if tail > self.position:
            self._is_behind = True

    def poll(self, now: float, micros: int, applied: int, unpublished: int) -> tuple[list[Effect], list[Batch]]:
        """What is to be done now, and the batches whose answers were stored already.

        `applied`: up to where tables are written; `unpublished`: so many entries are not on the event log.
        """
        self._wanted, self._answered = [], []
        self._batcher.is_waiting = False
        if self._batcher.are_answers_due and applied >= self.position:
            self._batcher.are_answers_due = False
            self._batcher.answered(now)
        if self._under_way is None and now >= self._backoff.until:
            self._proceed(now, micros, applied, unpublished)
        if not self._is_atomic and (self._under_way is not None or self._batcher.is_waiting):
            self._prepare(applied)
        return self._wanted, self._answered

    def next_at(self) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        waits = self._batcher or self._current or self._is_behind
        if not waits or self._batcher.is_waiting or self._under_way is not None or self.loading is not None:
            return _NEVER
        return max(self._backoff.until, self._contended_until, self._batcher.gather_until)

    def done(self, effect: Effect, result: Any, now: float) -> Event | None:
        """An effect has succeeded; says what follows from it. Raises CorruptEntry, NewerFormat."""
        if effect is self.loading:
            self._batcher.loaded(result)
            self._version += 1
            return None
        if effect is not self._under_way:
            return None
        self._under_way = None
        match effect:
            case Append():
                self._batcher.answered(now)
                if result:
                    self._backoff.succeeded()
                    return self._landed()
                self._is_settling = True
                return None
            case Read(why="settle"):
                return self._settled(result, now)
            case Read():
                self._backoff.succeeded()
                return self._caught_up(result, now)
            case _:
                self._backoff.succeeded()
                return self._confirmed(result)

    def failed(self, effect: Effect, error: Exception, now: float) -> None:
        """An effect has failed with Unavailable or OutcomeUnknown."""
        if effect is self.loading:
            self._batcher.load_failed(_nothing_done(error))
            self._backoff.failed(now)
            return
        if effect is not self._under_way:
            return
        self._under_way = None
        if isinstance(effect, Append):
            self._batcher.answered(now)
            batch = self._current
            if not isinstance(error, Unavailable) or (batch is not None and batch.is_resent):
                self._is_settling = True
                return
            self._backoff.failed(now)
            self._fail_current(error)  # it never left
        else:
            self._backoff.failed(now)
            if isinstance(effect, Tail):
                self._fail_current(_nothing_done(error))

    def abandon(self) -> tuple[list[PendingCall], list[PendingCall]]:
        """Gives up what it is about: calls that were decided, whose outcome is unknown, and those that were not."""
        decided: list[PendingCall] = []
        waiting: list[PendingCall] = []
        if self._current is not None:
            (decided if self._current.entry is not None else waiting).extend(self._current.calls)
        self._current = None
        return decided, [*waiting, *self._batcher.abandon()]

    def _proceed(self, now: float, micros: int, applied: int, unpublished: int) -> None:
        entry = self._current.entry if self._current is not None else None
        if entry is not None and self._is_settling:
            self._want(Read(entry.position - 1, 1, "settle"))
        elif entry is not None:
            self._append()  # the same once more
        elif self._is_behind:
            self._want(Read(self.position, PAGE, "catch up"))
        elif now >= self._contended_until and not self._batcher.gathers(now):
            while (batch := self._prepare(applied)) is not None:
                self._batcher.take()
                if not self._decide(batch, now, micros, applied, unpublished):
                    return

    def _prepare(self, applied: int) -> Batch | None:
        ready = self._batcher.prepare(self._version, applied, is_busy=self._under_way is not None)
        if isinstance(ready, Load):
            self._wanted.append(ready)
            return None
        return ready

    def _decide(self, batch: Batch, now: float, micros: int, applied: int, unpublished: int) -> bool:
        """Decides a batch; True where nothing has to be done for it and the next may be decided."""
        if not batch.forget_dead():
            return True
        if self.position - applied >= self._limits.unapplied:
            fail_all(batch.calls, Overloaded("the tables cannot keep up; nothing was done", retry_after=0.2))
            return True
        if unpublished >= self._limits.unpublished:
            fail_all(batch.calls, Overloaded("the event log is away for too long; nothing was done", retry_after=5.0))
            return True
        decision = batch.decision = self._model.decide(batch.commands, micros, self.last_stamp)
        self.worked_at = now
        if decision.payload is None and decision.is_certain:
            self._answered.append(batch)
            return True
        self._current = batch
        if decision.payload is not None:
            batch.entry = Entry(self.position + 1, self._new_id(), decision.stamp, decision.payload)
            for call in batch.calls:
                call.is_decided = True
            self._append()
        else:
            # Others may have appended: what was decided from memory alone is not an answer yet.
            self._want(Tail(confirm=True))
        return False

    def _append(self) -> None:
        batch = self._current
        assert batch is not None
        assert batch.entry is not None
        self._want(Append(batch.entry, self._model.writes_of(batch.decision) if self._is_atomic else None))

    def _want(self, effect: Effect) -> None:
        self._under_way = effect
        self._wanted.append(effect)

    def _landed(self) -> Landed:
        batch, self._current = self._current, None
        assert batch is not None
        assert batch.entry is not None
        assert batch.decision is not None
        self._is_settling = False
        self._batcher.are_answers_due = not self._is_atomic
        self.position, self.last_stamp = batch.entry.position, batch.entry.stamp
        self._version += 1
        self._model.committed(self.position, batch.decision)
        return Landed((batch.entry,), batch)

    def _settled(self, page: Page, now: float) -> Event | None:
        batch = self._current
        assert batch is not None
        assert batch.entry is not None
        self._is_settling = False
        wanted = batch.entry.position
        row = page.entries[0] if page.entries and page.entries[0].position == wanted else None
        if row is not None and row.append_id == batch.entry.append_id:
            self._backoff.succeeded()
            return self._landed()
        if row is not None:
            self._undo()
            self._is_behind = True
            return None
        if page.tail == wanted - 1:
            batch.is_resent = True
            self._backoff.failed(now)  # the same append once more, after a pause
            return None
        if page.tail < wanted:
            raise CorruptEntry(f"the last entry is {page.tail}, it was {self.position} before")
        # Trimmed: whether it was this append that landed there cannot be seen any more.
        fail_all(batch.calls, OutcomeUnknown("this node stood still for too long; retry with the same op_id"))
        self._current = None
        return StartOver()

    def _caught_up(self, page: Page, now: float) -> Event | None:
        if page.tail < self.position:
            raise CorruptEntry(f"the last entry is {page.tail}, it was {self.position} before")
        if page.tail > self.position and (not page.entries or page.entries[0].position != self.position + 1):
            return StartOver()
        check_order(page.entries, self.position + 1, self.last_stamp)
        for entry in page.entries:
            self._model.replay(entry)
            self.position, self.last_stamp = entry.position, entry.stamp
            self._version += 1
        if self.position >= page.tail:
            self._is_behind = False
            self._contended_until = now + self._rng.uniform(0.0, self._limits.contention_seconds)
        return Landed(page.entries) if page.entries else None

    def _confirmed(self, tail: int) -> Event | None:
        batch = self._current
        if batch is None:
            return None
        if tail == self.position:
            self._current = None
            return Answered(batch)
        self._undo()
        self._is_behind = True
        return None

    def _undo(self) -> None:
        """The current batch was not appended: it is decided again, and with it what came behind it."""
        batch, self._current = self._current, None
        assert batch is not None
        for call in batch.calls:
            call.is_decided = False
        self._batcher.put_back(batch.calls)

    def _fail_current(self, error: Exception) -> None:
        batch, self._current = self._current, None
        if batch is not None:
            fail_all(batch.calls, error)


def _nothing_done(error: Exception) -> Problem:
    return error if isinstance(error, Unavailable) else Unavailable(f"nothing was done: {error}", retry_after=0.2)
