"""One shard of a ledger on one node: what is read, decided, written and published next. No I/O, no clock.

The shard says what it wants done (`poll`) and is told the results (`done`, `failed`).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.batching import Batch
from kit.ledger.calls import CallQueue, PendingCall, fail_all
from kit.ledger.deciding import Deciding
from kit.ledger.effects import Effect, Publish, Read, ReadMarks, SaveMarks, Trim, WriteTables
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry, NewerFormat, ShardNotServed
from kit.ledger.events import Answered, Event, Landed, StartOver
from kit.ledger.lanes import FeedLane, MarkLane, TableLane, TailLane
from kit.ledger.limits import ShardLimits
from kit.ledger.ports import Model, Watermarks
from kit.ledger.replay import Replay
from kit.ledger.state import State

_NEVER = float("inf")
_SOON = 0.02


class Shard:
    """See the module. `new_id` makes append ids; `rng` only spreads pauses."""

    def __init__(
        self,
        number: int,
        model: Model,
        limits: ShardLimits,
        *,
        is_atomic: bool,
        new_id: Callable[[], str],
        rng: random.Random,
    ) -> None:
        self.number = number
        self.state = State.IDLE
        self.is_owner = False
        self.reason = ""
        """Why it is stopped."""
        self.away_since: float | None = None
        """Since when the store has not answered; None: it does."""
        self._model = model
        self._limits = limits
        self._is_atomic = is_atomic
        self._new_id = new_id
        self._rng = rng
        self._queue: CallQueue = CallQueue(limits.commands_waiting)
        self._reset()

    def _reset(self) -> None:
        self._model.clear()
        self._deciding = Deciding(
            self._model, self._queue, self._limits, is_atomic=self._is_atomic, new_id=self._new_id, rng=self._rng
        )
        # Batches that are answered once the tables are written up to a position.
        self._acks: deque[tuple[int, Batch]] = deque()
        self._tables = TableLane(self._model, self._rng)
        self._feed = FeedLane(self._rng, self._limits.feed)
        self._marks = MarkLane(self._rng, self._limits.marks)
        self._looks = TailLane(self._limits.look_seconds)
        self._replay = Replay(self._rng)

    @property
    def position(self) -> int:
        """The last entry that is part of the state."""
        return self._deciding.position

    def begin(self, now: float, *, is_owner: bool) -> None:
        """Serves the shard from now on, as its owner or because the owner cannot be reached."""
        if is_owner and not self.is_owner:
            self.is_owner = True
            self._feed.hurry()
        self._deciding.worked_at = now
        if self.state is State.IDLE:
            self._reset()
            self.state = State.REPLAYING
        elif self.state is State.DRAINING:
            self.state = State.SERVING

    def disown(self, now: float) -> None:
        """Another node owns the shard: it is left when nothing more comes and all is finished."""
        self.is_owner = False
        self._deciding.worked_at = now

    def drain(self) -> None:
        """Accepts nothing more and finishes what it has accepted."""
        self.is_owner = False
        if self.state is State.SERVING:
            self.state = State.DRAINING
            self._marks.hurry()
            self._feed.hurry()
        elif self.state is State.REPLAYING:
            fail_all(self._queue.drain(), ShardNotServed("this node is about to stop", retry_after=0.1))
            self._leave()

    def submit(self, call: PendingCall) -> bool:
        """Has commands decided; raises ShardNotServed or Overloaded, with nothing done.

        Says whether there may be something to do for them before what is under way ends, or before `next_at`.
        """
        if self.state not in (State.REPLAYING, State.SERVING):
            raise ShardNotServed(self.reason or "this node does not serve the shard", retry_after=0.1)
        self._queue.add(call)
        return not self._deciding.takes_more

    def sizes(self) -> tuple[int, int, int]:
        """Commands that wait, entries without their tables, entries not published."""
        return self._queue.commands, self.position - self._tables.applied, self.position - self._feed.published

    def poll(self, now: float, micros: int) -> list[Effect]:
        """What is to be done now. `now` only grows (seconds), `micros` are since 1970."""
        if self.state in (State.IDLE, State.STOPPED):
            return []
        if self.state is State.REPLAYING:
            return self._replay.poll(now)
        applied, position = self._tables.applied, self.position
        wanted, answered = self._deciding.poll(now, micros, applied, position - self._feed.published)
        if answered:
            self._acks.extend((position, batch) for batch in answered)
            self._release()
        if not self._is_atomic:
            others = (
                self._tables.poll(position, now),
                self._feed.poll(position, now),
                self._marks.poll(self._watermarks(), position, now, is_owner=self.is_owner),
                self._looks.poll(self._rests_since(), now),
            )
            wanted += [effect for effect in others if effect is not None]
        if not wanted and self._may_leave(now):
            self._leave()
        return wanted

    def next_at(self, now: float) -> float:
        """When to poll again even if nothing happens; infinity: not before something does."""
        if self.state in (State.IDLE, State.STOPPED):
            return _NEVER
        if self.state is State.REPLAYING:
            return self._replay.next_at()
        times = [self._deciding.next_at()]
        if not self._is_atomic:
            times.append(self._tables.next_at(self.position))
            times.append(self._feed.next_at(self.position))
            times.append(self._marks.next_at(self._watermarks(), is_owner=self.is_owner))
            times.append(self._looks.next_at(self._rests_since()))
        if not self.is_owner:
            leaves = self._deciding.worked_at + self._limits.leave_seconds
            times.append(max(now + _SOON, leaves if self.state is State.SERVING else 0.0))
        return min(times)

    def done(self, effect: Effect, result: Any, now: float) -> None:
        """An effect has succeeded, with its result."""
        if self.state in (State.IDLE, State.STOPPED):
            return
        if not isinstance(effect, Publish):
            self.away_since = None
        try:
            self._take(effect, result, now)
        except (CorruptEntry, NewerFormat) as error:
            self._stop(str(error))

    def failed(self, effect: Effect, error: Exception, now: float) -> None:
        """An effect has failed with Unavailable or OutcomeUnknown."""
        if self.state in (State.IDLE, State.STOPPED):
            return
        if self.away_since is None and not isinstance(effect, Publish):
            self.away_since = now
        if self._replay.is_reading(effect):
            self._replay.failed(now)
            # Whoever waits is answered at once, with nothing done.
            fail_all(self._queue.drain(), Unavailable(str(error), retry_after=0.5))
        elif self._looks.ended(effect, now):
            pass
        elif isinstance(effect, WriteTables):
            self._tables.failed(effect, now)
        elif isinstance(effect, SaveMarks | Trim):
            self._marks.failed(effect, now)
        else:
            self._feed.failed(effect, now)
            self._deciding.failed(effect, error, now)

    def _take(self, effect: Effect, result: Any, now: float) -> None:
        if self._replay.is_reading(effect):
            self._replayed(self._replay.done(result), now)
        elif self._looks.ended(effect, now):
            self._deciding.fall_behind(result)
        elif isinstance(effect, WriteTables):
            self._tables.done(effect)
            self._release()
        elif isinstance(effect, SaveMarks | Trim):
            self._marks.done(effect, now)
        elif isinstance(effect, Publish | ReadMarks) or (isinstance(effect, Read) and effect.why == "feed"):
            self._feed.done(effect, result, now)
        else:
            self._follow(self._deciding.done(effect, result, now), now)

    def _follow(self, event: Event | None, now: float) -> None:
        """What follows from what was decided or found."""
        match event:
            case Landed(entries, batch):
                if self._is_atomic:
                    self._tables.applied = self._feed.published = self.position
                else:
                    for entry in entries:
                        self._feed.committed(entry, is_owner=self.is_owner, now=now)
                if batch is not None:
                    self._acks.append((self.position, batch))
            case Answered(batch):
                self._acks.append((self.position, batch))
            case StartOver():
                self._start_over()
                return
        self._release()

    def _release(self) -> None:
        """Answers what the tables have, and lets the model forget entries that no load can miss any more."""
        applied = self._tables.applied
        while self._acks and self._acks[0][0] <= applied:
            self._acks.popleft()[1].acknowledge()
        loading = self._deciding.loading
        self._model.release(applied if loading is None else min(loading.base, applied))

    def _replayed(self, entries: Sequence[Entry] | None, now: float) -> None:
        replay = self._replay
        if entries is None:
            self._reset()
            self._replay = replay
            return
        found = replay.found or Watermarks()
        for entry in entries:
            if entry.position > found.applied:
                self._model.replay(entry)
            if entry.position > found.published:
                self._feed.committed(entry, is_owner=self.is_owner, now=now)
        if replay.is_complete:
            self._serve(found, now)

    def _serve(self, found: Watermarks, now: float) -> None:
        position = self._replay.position
        self._tables.applied = position if self._is_atomic else found.applied
        self._feed.published = position if self._is_atomic else found.published
        self._marks.start(found, now)
        self._deciding.serve(position, self._replay.last_stamp, now)
        self.state = State.SERVING

    def _watermarks(self) -> Watermarks:
        return Watermarks(self._tables.applied, self._feed.published)

    def _rests_since(self) -> float | None:
        """Since when its owner has nothing to do here; None: it has, or is not the owner."""
        return self._deciding.worked_at if self.is_owner and self._deciding.is_idle else None

    def _start_over(self) -> None:
        """Begins as after a take-over; those who wait go on waiting."""
        unknown = OutcomeUnknown("the answer was lost; retry with the same op_id")
        for _, batch in self._acks:
            fail_all(batch.calls, unknown)
        decided, waiting = self._deciding.abandon()
        fail_all(decided, unknown)
        self._queue.put_back(waiting)
        self._reset()
        self.state = State.REPLAYING

    def _may_leave(self, now: float) -> bool:
        if self.is_owner or not self._deciding.is_idle or self._acks:
            return False
        if self.state is State.SERVING and now < self._deciding.worked_at + self._limits.leave_seconds:
            return False
        if self._is_atomic:
            return True
        self._marks.hurry()
        # Another node may have published more than this one knows of.
        is_done = self._tables.applied == self.position <= self._feed.published
        return is_done and self._marks.is_saved(self._watermarks())

    def _leave(self) -> None:
        self._reset()
        self.state = State.IDLE

    def _stop(self, reason: str) -> None:
        self.reason = reason
        decided, waiting = self._deciding.abandon()
        for _, batch in self._acks:
            decided += batch.calls
        fail_all(decided, OutcomeUnknown("this node stopped serving the shard; retry with the same op_id"))
        fail_all([*waiting, *self._queue.drain()], ShardNotServed(reason, retry_after=0.5))
        self._reset()
        self.state = State.STOPPED
