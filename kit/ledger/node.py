"""Drives the shards of one ledger on this node: performs their effects and returns the results."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from kit.clock import Clock
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.ids import new_id
from kit.ledger import metrics
from kit.ledger.ledger_effects import LedgerEffects
from kit.ledger.ports import LedgerEventLog, LedgerStore, Model, Tables
from kit.ledger.shard.effects import Effect
from kit.ledger.shard.limits import ShardLimits
from kit.ledger.shard.shard import Shard
from kit.ledger.shard.state import State
from kit.tasks import TaskScope, task_scope

log = structlog.get_logger()
_UNREACHABLE_SECONDS = 1.0
_ASSIGNMENT_CHECK_SECONDS = 0.1
_MICROS = 1_000_000


class Executed(NamedTuple):
    """The answers to commands, in order, and the view of `Model.view` at the moment of the answers."""

    answers: Sequence[Any]
    view: Any


class _Call:
    """See `kit.ledger.calls.PendingCall`."""

    __slots__ = ("_model", "commands", "executed", "is_decided")

    def __init__(self, commands: Sequence[Any], model: Model, executed: asyncio.Future[Executed]) -> None:
        self.commands = commands
        self.is_decided = False
        self.executed = executed
        self._model = model

    def is_live(self) -> bool:
        return not self.executed.done()

    def answer(self, answers: Sequence[Any]) -> None:
        self.executed.set_result(Executed(answers, self._model.view(self.commands)))

    def fail(self, error: Exception) -> None:
        self.executed.set_exception(error)


class _ShardSlot:
    """A shard with its model and the timer of its next poll."""

    __slots__ = ("is_scheduled", "model", "shard", "state", "timer")

    def __init__(self, shard: Shard, model: Model) -> None:
        self.shard = shard
        self.model = model
        self.state = State.IDLE
        self.is_scheduled = False
        self.timer: asyncio.TimerHandle | None = None


class LedgerNode:
    """Executes commands on shards of this node. Made by `running_node`.

    `clock` makes stamps and versions; pauses use the time of the event loop, as its timers do.
    """

    def __init__(
        self,
        name: str,
        shards: int,
        store: LedgerStore,
        tables: Tables,
        event_log: LedgerEventLog | None,
        make_model: Callable[[], Model],
        clock: Clock,
        limits: ShardLimits,
        tasks: TaskScope,
    ) -> None:
        self.name = name
        self._effects = LedgerEffects(name, store, tables, event_log)
        self._clock = clock
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._shards: list[_ShardSlot] = []
        for number in range(shards):
            model = make_model()
            shard = Shard(number, model, limits, is_atomic=store.is_atomic, new_id=new_id, rng=random.Random())
            self._shards.append(_ShardSlot(shard, model))
        self._idle = asyncio.Event()
        self._is_draining = self._is_closed = False
        self._register_gauges()

    @property
    def shards(self) -> int:
        """How many shards the ledger has."""
        return len(self._shards)

    async def execute(self, shard: int, commands: Sequence[Any], timeout: float) -> Executed:
        """Decides commands of a shard on this node, within `timeout` seconds.

        Raises ShardNotServed, Overloaded and Unavailable with nothing done, and OutcomeUnknown.
        """
        slot = self._shards[shard]
        now = self._loop.time()
        if slot.shard.state is State.IDLE and not self._is_draining:
            slot.shard.start(now, is_assigned=False)
        call = _Call(commands, slot.model, self._loop.create_future())
        if slot.shard.submit(call):
            self._schedule(slot)
        deadline = self._loop.call_later(timeout, _expire, call)
        try:
            return await call.executed
        finally:
            deadline.cancel()

    def is_store_unreachable(self, shard: int) -> bool:
        """Whether the store has not answered for a while: another node may reach it."""
        since = self._shards[shard].shard.unreachable_since
        return since is not None and self._loop.time() - since > _UNREACHABLE_SECONDS

    async def follow_assignment(self, is_assigned: Callable[[int], bool]) -> None:
        """Starts and unassigns shards as their assignment changes, until the node drains."""
        while not self._is_draining:
            now = self._loop.time()
            for slot in self._shards:
                shard = slot.shard
                is_here = is_assigned(shard.number)
                if is_here and not shard.is_assigned and shard.state in (State.IDLE, State.REPLAYING, State.SERVING):
                    log.info("shard assigned", ledger=self.name, shard=shard.number)
                    shard.start(now, is_assigned=True)
                    self._schedule(slot)
                elif not is_here and shard.is_assigned and shard.state is not State.STOPPED:
                    log.info("shard unassigned", ledger=self.name, shard=shard.number)
                    shard.unassign(now)
                    self._schedule(slot)
            await asyncio.sleep(_ASSIGNMENT_CHECK_SECONDS)

    async def drain(self, grace_seconds: float) -> None:
        """Refuses new calls, and finishes the accepted ones within `grace_seconds`."""
        self._is_draining = True
        for slot in self._shards:
            slot.shard.drain()
            self._schedule(slot)
        try:
            async with asyncio.timeout(grace_seconds):
                while any(slot.shard.state is State.DRAINING for slot in self._shards):
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.info("ledger not drained in time; another node takes over", ledger=self.name)

    def close(self) -> None:
        """Stops driving the shards."""
        self._is_closed = True
        for slot in self._shards:
            if slot.timer is not None:
                slot.timer.cancel()

    def _schedule(self, slot: _ShardSlot) -> None:
        # Commands that arrive in one iteration of the event loop are decided together.
        if not slot.is_scheduled and not self._is_closed:
            slot.is_scheduled = True
            self._loop.call_soon(self._pump, slot)

    def _pump(self, slot: _ShardSlot) -> None:
        slot.is_scheduled = False
        if self._is_closed:
            return
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        shard, now = slot.shard, self._loop.time()
        for effect in shard.poll(now, int(self._clock.now() * _MICROS)):
            self._tasks.start(self._run_effect(slot, effect))
        if shard.state is not slot.state:
            self._on_state_change(slot)
        at = shard.next_at(now)
        if at <= now:
            self._schedule(slot)
        elif at != float("inf"):
            slot.timer = self._loop.call_later(at - now, self._schedule, slot)

    async def _run_effect(self, slot: _ShardSlot, effect: Effect) -> None:
        shard = slot.shard
        try:
            result = await self._effects.perform(shard.number, effect)
        except Problem as error:
            shard.failed(effect, error, self._loop.time())
        except Exception:
            log.exception("the ledger's store failed", ledger=self.name, shard=shard.number)
            unknown = OutcomeUnknown("it is not known whether the change was saved")
            shard.failed(effect, unknown, self._loop.time())
        else:
            shard.done(effect, result, self._loop.time())
        self._pump(slot)

    def _on_state_change(self, slot: _ShardSlot) -> None:
        shard = slot.shard
        slot.state = shard.state
        if shard.state is State.STOPPED:
            log.error("shard stopped", ledger=self.name, shard=shard.number, reason=shard.reason)
        self._idle.set()

    def _register_gauges(self) -> None:
        def total(which: int) -> Callable[[], float]:
            return lambda: sum(slot.shard.backlogs()[which] for slot in self._shards)

        for which, gauge in enumerate((metrics.WAITING, metrics.UNAPPLIED, metrics.UNPUBLISHED)):
            gauge.labels(self.name).set_function(total(which))
        metrics.ASSIGNED.labels(self.name).set_function(lambda: sum(slot.shard.is_assigned for slot in self._shards))
        metrics.STOPPED.labels(self.name).set_function(
            lambda: sum(slot.shard.state is State.STOPPED for slot in self._shards)
        )


def _expire(call: _Call) -> None:
    if not call.executed.done():
        call.fail(
            OutcomeUnknown("no answer came in time; retry with the same op_id")
            if call.is_decided
            else Unavailable("the change waited for too long; nothing was done", retry_after=0.2)
        )


@asynccontextmanager
async def running_node(
    name: str,
    shards: int,
    store: LedgerStore,
    tables: Tables,
    event_log: LedgerEventLog | None,
    make_model: Callable[[], Model],
    clock: Clock,
    limits: ShardLimits,
    is_assigned: Callable[[int], bool],
    *,
    grace_seconds: Callable[[], float] = lambda: 3.0,
) -> AsyncIterator[LedgerNode]:
    """Runs a node for the block; then drains it, within the seconds that `grace_seconds` returns at that time."""
    async with task_scope() as tasks:
        node = LedgerNode(name, shards, store, tables, event_log, make_model, clock, limits, tasks)
        following = tasks.start(node.follow_assignment(is_assigned))
        try:
            yield node
        finally:
            following.cancel()
            try:
                await node.drain(grace_seconds())
            finally:
                node.close()
