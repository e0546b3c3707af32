"""One shard of a ledger on one node: which effects to perform next. No I/O, no clock.

`poll` returns effects; their results are passed to `done` and `failed`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.ledger.backoff import NEVER
from kit.ledger.calls import CallQueue, PendingCall, fail_all
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry, NewerFormat, ShardNotServed
from kit.ledger.ports import Model, Watermarks
from kit.ledger.shard.decider import Decider
from kit.ledger.shard.effects import Effect, Publish, ReadEntries, ReadWatermarks, SaveWatermarks, Trim, WriteTables
from kit.ledger.shard.entry_publisher import EntryPublisher
from kit.ledger.shard.events import Committed, Confirmed, Event, Restart
from kit.ledger.shard.limits import ShardLimits
from kit.ledger.shard.replay import Replay
from kit.ledger.shard.state import State
from kit.ledger.shard.table_writer import TableWriter
from kit.ledger.shard.tail_poller import TailPoller
from kit.ledger.shard.unacknowledged import UnacknowledgedBatches
from kit.ledger.shard.watermark_saver import WatermarkSaver

_RELEASE_CHECK_SECONDS = 0.02


class Shard:
    """See the module. `new_id` makes append ids; `rng` adds jitter to pauses."""

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
        self.is_assigned = False
        self.reason = ""
        """Why the shard is stopped."""
        self.unreachable_since: float | None = None
        """Since when the store has not stored; None: it answers."""
        self._model = model
        self._limits = limits
        self._is_atomic = is_atomic
        self._new_id = new_id
        self._rng = rng
        self._queue: CallQueue = CallQueue(limits.queued_commands)
        self._reset()

    def _reset(self) -> None:
        self._model.clear()
        self._decider = Decider(
            self._model, self._queue, self._limits, is_atomic=self._is_atomic, new_id=self._new_id, rng=self._rng
        )
        self._unacknowledged = UnacknowledgedBatches()
        self._table_writer = TableWriter(self._model, self._rng)
        self._publisher = EntryPublisher(self._rng, self._limits.publish)
        self._watermark_saver = WatermarkSaver(self._rng, self._limits.watermarks)
        self._tail_poller = TailPoller(self._limits.tail_poll_seconds)
        self._replay = Replay(self._rng)

    @property
    def position(self) -> int:
        """The position of the last entry that is part of the state."""
        return self._decider.position

    def start(self, now: float, *, is_assigned: bool) -> None:
        """Starts to serve the shard: because it is assigned to this node, or because its node cannot be reached."""
        if is_assigned and not self.is_assigned:
            self.is_assigned = True
            self._publisher.publish_now()
        self._decider.last_active_at = now
        if self.state is State.IDLE:
            self._reset()
            self.state = State.REPLAYING
        elif self.state is State.DRAINING:
            self.state = State.SERVING

    def unassign(self, now: float) -> None:
        """The shard is assigned to another node. It is released once no commands arrive and all work is finished."""
        self.is_assigned = False
        self._decider.last_active_at = now

    def drain(self) -> None:
        """Refuses new commands and finishes the accepted ones."""
        self.is_assigned = False
        if self.state is State.SERVING:
            self.state = State.DRAINING
            self._watermark_saver.save_now()
            self._publisher.publish_now()
        elif self.state is State.REPLAYING:
            fail_all(self._queue.drain(), ShardNotServed("this node is about to stop", retry_after=0.1))
            self._release()

    def submit(self, call: PendingCall) -> bool:
        """Queues commands; raises ShardNotServed or Overloaded, with nothing done.

        Returns whether `poll` should be called for them now: before an effect ends, and before `next_at`.
        """
        if self.state not in (State.REPLAYING, State.SERVING):
            raise ShardNotServed(self.reason or "this node does not serve the shard", retry_after=0.1)
        self._queue.add(call)
        return not self._decider.will_poll_again

    def backlogs(self) -> tuple[int, int, int]:
        """The numbers of waiting commands, of entries without their tables, and of unpublished entries."""
        return (
            self._queue.commands,
            self.position - self._table_writer.applied,
            self.position - self._publisher.published,
        )

    def poll(self, now: float, micros: int) -> list[Effect]:
        """Returns the effects to perform now. `now`: monotonic seconds; `micros`: microseconds since 1970."""
        if self.state in (State.IDLE, State.STOPPED):
            return []
        if self.state is State.REPLAYING:
            return self._replay.poll(now)
        applied, position = self._table_writer.applied, self.position
        effects, stored = self._decider.poll(now, micros, applied, position - self._publisher.published)
        if stored:
            self._unacknowledged.add(position, *stored)
            self._acknowledge_applied()
        if not self._is_atomic:
            others = (
                self._table_writer.poll(position, now),
                self._publisher.poll(position, now),
                self._watermark_saver.poll(self._watermarks(), position, now, is_assigned=self.is_assigned),
                self._tail_poller.poll(self._idle_since(), now),
            )
            effects += [effect for effect in others if effect is not None]
        if not effects and self._may_release(now):
            self._release()
        return effects

    def next_at(self, now: float) -> float:
        """The time of the next `poll` if no event comes before; or `NEVER`."""
        if self.state in (State.IDLE, State.STOPPED):
            return NEVER
        if self.state is State.REPLAYING:
            return self._replay.next_at()
        times = [self._decider.next_at()]
        if not self._is_atomic:
            times.append(self._table_writer.next_at(self.position))
            times.append(self._publisher.next_at(self.position))
            times.append(self._watermark_saver.next_at(self._watermarks(), is_assigned=self.is_assigned))
            times.append(self._tail_poller.next_at(self._idle_since()))
        if not self.is_assigned:
            release_at = self._decider.last_active_at + self._limits.release_seconds
            times.append(max(now + _RELEASE_CHECK_SECONDS, release_at if self.state is State.SERVING else 0.0))
        return min(times)

    def done(self, effect: Effect, result: Any, now: float) -> None:
        """Records the result of an effect that succeeded."""
        if self.state in (State.IDLE, State.STOPPED):
            return
        if not isinstance(effect, Publish):
            self.unreachable_since = None
        try:
            self._dispatch(effect, result, now)
        except (CorruptEntry, NewerFormat) as error:
            self._stop(str(error))

    def failed(self, effect: Effect, error: Exception, now: float) -> None:
        """Records that an effect has failed with Unavailable or OutcomeUnknown."""
        if self.state in (State.IDLE, State.STOPPED):
            return
        if self.unreachable_since is None and not isinstance(effect, Publish):
            self.unreachable_since = now
        if self._replay.is_reading(effect):
            self._replay.failed(now)
            # Waiting calls fail at once, with nothing done.
            message = error.message if isinstance(error, Problem) else str(error)
            fail_all(self._queue.drain(), Unavailable(message, retry_after=0.5))
        elif self._tail_poller.finished(effect, now):
            pass
        elif isinstance(effect, WriteTables):
            self._table_writer.failed(effect, now)
        elif isinstance(effect, SaveWatermarks | Trim):
            self._watermark_saver.failed(effect, now)
        else:
            self._publisher.failed(effect, now)
            self._decider.failed(effect, error, now)

    def _dispatch(self, effect: Effect, result: Any, now: float) -> None:
        if self._replay.is_reading(effect):
            self._replayed(self._replay.done(result), now)
        elif self._tail_poller.finished(effect, now):
            self._decider.observe_tail(result)
        elif isinstance(effect, WriteTables):
            self._table_writer.done(effect)
            self._acknowledge_applied()
        elif isinstance(effect, SaveWatermarks | Trim):
            self._watermark_saver.done(effect, now)
        elif isinstance(effect, Publish | ReadWatermarks) or (
            isinstance(effect, ReadEntries) and effect.why == "publish"
        ):
            self._publisher.done(effect, result, now)
        else:
            self._handle_event(self._decider.done(effect, result, now), now)

    def _handle_event(self, event: Event | None, now: float) -> None:
        """Applies an event of the decider."""
        match event:
            case Committed(entries, batch):
                if self._is_atomic:
                    self._table_writer.applied = self._publisher.published = self.position
                else:
                    for entry in entries:
                        self._publisher.add(entry, is_assigned=self.is_assigned, now=now)
                if batch is not None:
                    self._unacknowledged.add(self.position, batch)
            case Confirmed(batch):
                self._unacknowledged.add(self.position, batch)
            case Restart():
                self._restart()
                return
        self._acknowledge_applied()

    def _acknowledge_applied(self) -> None:
        """Answers the batches whose tables are written, and releases the entries that every later load includes."""
        applied = self._table_writer.applied
        self._unacknowledged.acknowledge(applied)
        loading = self._decider.loading
        self._model.release_entries(applied if loading is None else min(loading.base, applied))

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
                self._publisher.add(entry, is_assigned=self.is_assigned, now=now)
        if replay.is_complete:
            self._serve(found, now)

    def _serve(self, found: Watermarks, now: float) -> None:
        position = self._replay.position
        self._table_writer.applied = position if self._is_atomic else found.applied
        self._publisher.published = position if self._is_atomic else found.published
        self._watermark_saver.start(found, now)
        self._decider.start(position, self._replay.last_stamp, now)
        self.state = State.SERVING

    def _watermarks(self) -> Watermarks:
        return Watermarks(self._table_writer.applied, self._publisher.published)

    def _idle_since(self) -> float | None:
        """Since when the shard has been idle; None: it is not idle, or not assigned to this node."""
        return self._decider.last_active_at if self.is_assigned and self._decider.is_idle else None

    def _restart(self) -> None:
        """Drops the state and replays the shard; undecided calls stay queued."""
        unknown = OutcomeUnknown("the answer was lost; retry with the same op_id")
        decided, waiting = self._decider.abandon()
        fail_all([*self._unacknowledged.calls(), *decided], unknown)
        self._queue.requeue(waiting)
        self._reset()
        self.state = State.REPLAYING

    def _may_release(self, now: float) -> bool:
        if self.is_assigned or not self._decider.is_idle or self._unacknowledged:
            return False
        if self.state is State.SERVING and now < self._decider.last_active_at + self._limits.release_seconds:
            return False
        if self._is_atomic:
            return True
        self._watermark_saver.save_now()
        # Another node may have published more entries than are in memory here.
        is_done = self._table_writer.applied == self.position <= self._publisher.published
        return is_done and self._watermark_saver.is_saved(self._watermarks())

    def _release(self) -> None:
        self._reset()
        self.state = State.IDLE

    def _stop(self, reason: str) -> None:
        self.reason = reason
        decided, waiting = self._decider.abandon()
        decided += self._unacknowledged.calls()
        fail_all(decided, OutcomeUnknown("this node stopped serving the shard; retry with the same op_id"))
        fail_all([*waiting, *self._queue.drain()], ShardNotServed(reason, retry_after=0.5))
        self._reset()
        self.state = State.STOPPED
