"""The shards of one ledger on this node, driven: effects are carried out, results told, time passes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple

import structlog

from kit.clock import Clock
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.ids import new_id
from kit.ledger import metrics
from kit.ledger.effects import Append, Effect, Load, Publish, Read, ReadMarks, SaveMarks, Tail, Trim, WriteTables
from kit.ledger.limits import ShardLimits
from kit.ledger.ports import Feed, LedgerStore, Model, Tables
from kit.ledger.shard import Shard
from kit.ledger.state import State
from kit.tasks import TaskScope, task_scope

log = structlog.get_logger()
_AWAY_SECONDS = 1.0
_DIVIDE_SECONDS = 0.1
_MICROS = 1_000_000


class Executed(NamedTuple):
    """The answers to commands, in order, and what the service tells besides, as of the moment they were given."""

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


class _Driven:
    """A shard, and when it is to be polled again."""

    __slots__ = ("is_scheduled", "model", "shard", "state", "timer")

    def __init__(self, shard: Shard, model: Model) -> None:
        self.shard = shard
        self.model = model
        self.state = State.IDLE
        self.is_scheduled = False
        self.timer: asyncio.TimerHandle | None = None


class LedgerNode:
    """Executes commands on shards of this node. Made by `running_node`.

    `clock` makes stamps and versions; pauses are measured by the loop's time, which its timers go by.
    """

    def __init__(
        self,
        name: str,
        shards: int,
        store: LedgerStore,
        tables: Tables,
        feed: Feed | None,
        make_model: Callable[[], Model],
        clock: Clock,
        limits: ShardLimits,
        tasks: TaskScope,
    ) -> None:
        self.name = name
        self._store = store
        self._tables = tables
        self._feed = feed
        self._clock = clock
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._shards: list[_Driven] = []
        for number in range(shards):
            model = make_model()
            shard = Shard(number, model, limits, is_atomic=store.is_atomic, new_id=new_id, rng=random.Random())
            self._shards.append(_Driven(shard, model))
        self._idle = asyncio.Event()
        self._is_draining = self._is_closed = False
        self._show()

    @property
    def shards(self) -> int:
        """How many shards the ledger has."""
        return len(self._shards)

    async def execute(self, shard: int, commands: Sequence[Any], timeout: float) -> Executed:
        """Has commands of a shard decided here, within `timeout` seconds.

        Raises ShardNotServed, Overloaded and Unavailable with nothing done, and OutcomeUnknown.
        """
        driven = self._shards[shard]
        now = self._loop.time()
        if driven.shard.state is State.IDLE and not self._is_draining:
            driven.shard.begin(now, is_owner=False)
        call = _Call(commands, driven.model, self._loop.create_future())
        if driven.shard.submit(call):
            self._schedule(driven)
        deadline = self._loop.call_later(timeout, _expire, call)
        try:
            return await call.executed
        finally:
            deadline.cancel()

    def is_away(self, shard: int) -> bool:
        """Whether the store has not answered for a while: another node may reach it."""
        since = self._shards[shard].shard.away_since
        return since is not None and self._loop.time() - since > _AWAY_SECONDS

    async def divide(self, is_mine: Callable[[int], bool]) -> None:
        """Begins and leaves shards as their owner changes, until the node drains."""
        while not self._is_draining:
            now = self._loop.time()
            for driven in self._shards:
                shard = driven.shard
                owns = is_mine(shard.number)
                if owns and not shard.is_owner and shard.state in (State.IDLE, State.REPLAYING, State.SERVING):
                    log.info("owns the shard", ledger=self.name, shard=shard.number)
                    shard.begin(now, is_owner=True)
                    self._schedule(driven)
                elif not owns and shard.is_owner and shard.state is not State.STOPPED:
                    log.info("owns the shard no longer", ledger=self.name, shard=shard.number)
                    shard.disown(now)
                    self._schedule(driven)
            await asyncio.sleep(_DIVIDE_SECONDS)

    async def drain(self, patience: float) -> None:
        """Finishes what is accepted, within `patience` seconds; nothing is accepted from now on."""
        self._is_draining = True
        for driven in self._shards:
            driven.shard.drain()
            self._schedule(driven)
        try:
            async with asyncio.timeout(patience):
                while any(driven.shard.state is State.DRAINING for driven in self._shards):
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.info("the ledger is left unfinished; another node goes on", ledger=self.name)

    def close(self) -> None:
        """Does nothing from now on."""
        self._is_closed = True
        for driven in self._shards:
            if driven.timer is not None:
                driven.timer.cancel()

    def _schedule(self, driven: _Driven) -> None:
        # What comes in one turn of the loop is decided together.
        if not driven.is_scheduled and not self._is_closed:
            driven.is_scheduled = True
            self._loop.call_soon(self._pump, driven)

    def _pump(self, driven: _Driven) -> None:
        driven.is_scheduled = False
        if self._is_closed:
            return
        if driven.timer is not None:
            driven.timer.cancel()
            driven.timer = None
        shard, now = driven.shard, self._loop.time()
        for effect in shard.poll(now, int(self._clock.now() * _MICROS)):
            self._tasks.start(self._carry_out(driven, effect))
        if shard.state is not driven.state:
            self._turned(driven)
        at = shard.next_at(now)
        if at <= now:
            self._schedule(driven)
        elif at != float("inf"):
            driven.timer = self._loop.call_later(at - now, self._schedule, driven)

    async def _carry_out(self, driven: _Driven, effect: Effect) -> None:
        shard = driven.shard
        try:
            result = await self._result(shard.number, effect)
        except Problem as error:
            shard.failed(effect, error, self._loop.time())
        except Exception as error:
            log.exception("the ledger's store failed", ledger=self.name, shard=shard.number)
            shard.failed(effect, OutcomeUnknown(str(error)), self._loop.time())
        else:
            shard.done(effect, result, self._loop.time())
        self._pump(driven)

    async def _result(self, shard: int, effect: Effect) -> Any:
        match effect:
            case Append(entry, writes):
                began = perf_counter()
                committed = await self._store.commit(shard, entry, writes)
                metrics.APPEND_SECONDS.observe(perf_counter() - began)
                metrics.ENTRY_BYTES.observe(len(entry.payload))
                metrics.APPENDS.labels("committed" if committed else "not_committed").inc()
                return committed
            case WriteTables(writes, _):
                with metrics.TABLES_SECONDS.time():
                    return await self._tables.write(shard, writes)
            case Load(need, _):
                return await self._tables.load(shard, need)
            case Read(after, limit, _):
                return await self._store.read(shard, after, limit)
            case Tail(confirm):
                return await self._store.tail(shard, confirm=confirm)
            case ReadMarks():
                return await self._store.watermarks(shard)
            case SaveMarks(marks):
                return await self._store.save_watermarks(shard, marks)
            case Trim(before):
                return await self._store.trim(shard, before)
            case Publish(entries):
                assert self._feed is not None
                return await self._feed.publish(shard, entries)

    def _turned(self, driven: _Driven) -> None:
        shard = driven.shard
        driven.state = shard.state
        if shard.state is State.STOPPED:
            log.error("the shard is not served any more", ledger=self.name, shard=shard.number, reason=shard.reason)
        self._idle.set()

    def _show(self) -> None:
        def total(which: int) -> Callable[[], float]:
            return lambda: sum(driven.shard.sizes()[which] for driven in self._shards)

        for which, gauge in enumerate((metrics.WAITING, metrics.UNAPPLIED, metrics.UNPUBLISHED)):
            gauge.labels(self.name).set_function(total(which))
        metrics.OWNED.labels(self.name).set_function(lambda: sum(driven.shard.is_owner for driven in self._shards))
        metrics.STOPPED.labels(self.name).set_function(
            lambda: sum(driven.shard.state is State.STOPPED for driven in self._shards)
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
    feed: Feed | None,
    make_model: Callable[[], Model],
    clock: Clock,
    limits: ShardLimits,
    is_mine: Callable[[int], bool],
    *,
    patience: Callable[[], float] = lambda: 3.0,
) -> AsyncIterator[LedgerNode]:
    """The node for the block; then finishes what it has accepted, within as many seconds as `patience` says then."""
    async with task_scope() as tasks:
        node = LedgerNode(name, shards, store, tables, feed, make_model, clock, limits, tasks)
        dividing = tasks.start(node.divide(is_mine))
        try:
            yield node
        finally:
            dividing.cancel()
            try:
                await node.drain(patience())
            finally:
                node.close()
