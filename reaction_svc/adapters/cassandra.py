"""The store on Cassandra and Redis: decided in memory, arbitrated by Redis, true once Cassandra has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from kit.adapters.cassandra import Cassandra
from kit.adapters.redis import Redis
from kit.clock import Clock
from kit.engines import Log
from kit.errors import Problem
from kit.tasks import Crew, crew
from reaction_svc.adapters.cassandra_flight import Limits
from reaction_svc.adapters.cassandra_outbox import TOPIC
from reaction_svc.adapters.cassandra_recovery import Home
from reaction_svc.adapters.cassandra_rows import SCHEMA, Rows
from reaction_svc.adapters.cassandra_writer import Writer
from reaction_svc.adapters.redis_hot import Fenced, Hot, Lost
from reaction_svc.ports import FactCodec

_TELL_SECONDS = 0.01
_RETRY_SECONDS = 0.05
_DRAIN_SECONDS = 2.0
log = structlog.get_logger()


class CassandraReactionStore(Writer):
    """See `ports.ReactionStore`. Made by `open_cassandra_store`."""

    def __init__(
        self, cassandra: Rows, hot: Hot, log_: Log, encode: FactCodec, clock: Clock, limits: Limits, tasks: Crew
    ) -> None:
        super().__init__(cassandra, hot, log_, encode, clock, limits, tasks)
        self._closing = False
        tasks.start(self._write())
        tasks.start(self._keep())
        tasks.start(self._tell())
        tasks.start(self._adopt())
        tasks.start(self._remember())
        tasks.start(self._outbox.run())

    async def forget(self, before: int) -> int:
        """See `ports.ReactionStore`. Rows of operations go by themselves when their time is over."""
        return 0

    async def ready(self) -> None:
        """Returns once changes can be made."""
        await self._ready.wait()

    async def published(self) -> None:
        """Returns once the facts of all acked changes of this process are on the log."""
        await self._flights.landed.wait()
        await self._outbox.drained()

    async def _keep(self) -> None:
        """Begins as a writer, settles what is doubtful, and shows that this process lives; never returns."""
        tick = min(1.0, self._limits.lease_seconds / 4)
        while True:
            try:
                await self._keep_once()
                pause = tick
            except (Lost, Fenced):
                if self._home is not None:
                    self._lose(self._home)
                pause = _RETRY_SECONDS
            except Problem as problem:
                log.warning("the store cannot be used now", error=str(problem))
                pause = _RETRY_SECONDS * 4
            try:
                async with asyncio.timeout(pause):
                    await self._attention.wait()
            except TimeoutError:
                continue
            self._attention.clear()
            if pause < tick:
                await asyncio.sleep(pause)

    async def _keep_once(self) -> None:
        if self._closing:
            return
        if self._home is None:
            await self._flights.landed.wait()
            home = await self._recovery.begin()
            self._known.forget()
            self._doubtful.clear()
            self._confirmed.clear()
            self._told = 0
            older = [node.node for node in await self._rows.nodes() if node.generation != home.generation]
            self._outbox.begin(home.node, older)
            self._home = home
            self._ready.set()
            self._begun.set()
            log.info("the reaction store is ready", generation=home.generation, outbox=home.node)
        home = self._home
        # Before anything of Cassandra, which may take longer than the lease.
        await self._hot.touch(home.generation, home.node, home.node, self._outbox.published)
        if self._doubtful:
            await self._settle(home)
        await self._rows.save_published(home.node, self._outbox.published)
        self._outbox.measure()
        self._known.cool()
        self._crowded = True

    async def _settle(self, home: Home) -> None:
        """Finds out about all doubtful batches: those that Redis has taken are saved now, the others never were."""
        await self._flights.landed.wait()
        doubtful = {flight.batch.seq: flight for flight in self._doubtful if flight.home is home}
        attempt = max((flight.attempt for flight in doubtful.values()), default=0)
        last = await self._hot.settle(home.generation, home.node, attempt) if doubtful else 0
        taken = {seq: flight for seq, flight in doubtful.items() if seq <= last}
        await self._recovery.complete({seq: (flight.batch, flight.blob) for seq, flight in taken.items()})
        for _, flight in sorted(taken.items()):
            self._completed(flight)
        home.seq = max(home.seq, last)
        self._known.forget()
        self._doubtful.clear()
        log.info("doubtful batches are settled", saved=len(taken), lost=len(doubtful) - len(taken))

    async def _tell(self) -> None:
        """Tells Redis what is saved and what is published, where no batch does so soon; never returns.

        Others may be waiting for it, each for the other in turn.
        """
        while True:
            self._to_tell.clear()
            await self._to_tell.wait()
            await asyncio.sleep(_TELL_SECONDS)
            home, confirmed, published = self._home, self._confirmed[:], self._outbox.published
            if home is None or (not confirmed and published == self._told):
                continue
            try:
                await self._hot.touch(home.generation, home.node, home.node, published, confirmed)
            except (Lost, Fenced):
                self._lose(home)
            except Problem:
                self._to_tell.set()
            else:
                self._told = published
                self._confirmed = [seq for seq in self._confirmed if seq not in set(confirmed)]

    async def _adopt(self) -> None:
        """Looks for outboxes left behind: now and then, and at once where Redis has lost its memory; never returns."""
        while True:
            await self._ready.wait()
            self._begun.clear()
            home = self._home
            if home is not None:
                try:
                    await self._recovery.adopt(home)
                except Lost:
                    self._lose(home)
                except (Problem, Fenced) as error:
                    log.info("outboxes are looked for again", error=str(error))
            try:
                async with asyncio.timeout(self._limits.lease_seconds / 4):
                    await self._begun.wait()
            except TimeoutError:
                continue

    async def _remember(self) -> None:
        """Tells Redis what people hold, batch after batch; never returns. What cannot be told is left out."""
        while True:
            self._to_remember.clear()
            await self._to_remember.wait()
            while self._held:
                some = [held for _ in range(len(self._held)) for held in self._held.popleft()]
                with contextlib.suppress(Problem):
                    await self._hot.remember(some)

    async def drain(self) -> None:
        """Finishes what is under way, as far as that goes quickly, and leaves the rest to others."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._queue.ops or self._flights.last:
                    await self._flights.landed.wait()
                    await asyncio.sleep(0)
                home = self._home
                if home is None:
                    return
                if not self._doubtful:
                    await self._outbox.drained()
                    self._closing = True
                    await self._rows.drop_node(home.node)
                    await self._hot.finish(home.generation, home.node, home.node)
                    return
        except (TimeoutError, Problem, Lost, Fenced) as error:
            log.info("what is left is left to others", error=str(error))
        await self._leave()

    async def _leave(self) -> None:
        home = self._home
        if home is None:
            return
        try:
            async with asyncio.timeout(1.0):
                await self._hot.leave(home.generation, home.node, home.node)
        except (TimeoutError, Problem, Lost, Fenced):
            pass  # its lease ends by itself

    def close(self) -> None:
        """Tells those who still wait."""
        self._queue.close()


@asynccontextmanager
async def open_cassandra_store(
    cassandra: Cassandra, redis: Redis, log_: Log, encode: FactCodec, clock: Clock, limits: Limits | None = None
) -> AsyncIterator[CassandraReactionStore]:
    """Opens the store. Changes are refused until it is `ready`; what happened before is recovered first."""
    limits = limits or Limits()
    rows = await Rows.prepared(cassandra, limits.op_seconds)
    hot = Hot(redis, limits.retention_seconds, limits.lease_seconds)
    async with crew() as tasks:
        store = CassandraReactionStore(rows, hot, log_, encode, clock, limits, tasks)
        try:
            yield store
        finally:
            await asyncio.shield(store.drain())
            store.close()


__all__ = ["SCHEMA", "TOPIC", "CassandraReactionStore", "Limits", "open_cassandra_store"]
