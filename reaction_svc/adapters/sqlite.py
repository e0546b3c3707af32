"""The store in a SQLite file: group commit on one writing connection, reads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw
import structlog

from kit.adapters.sqlite_file import adopt_schema, connect
from kit.adapters.sqlite_log import SqliteLog
from kit.clock import Clock
from kit.errors import OutcomeUnknown, Unavailable
from kit.tasks import background
from reaction_svc.adapters.sqlite_reads import Reads
from reaction_svc.adapters.sqlite_step import Step
from reaction_svc.adapters.sqlite_sweep import Sweep
from reaction_svc.adapters.waiting import Asked, Queue, answer, fail, ops_of
from reaction_svc.domain import Fact, Op, Outcome, Refusal
from reaction_svc.metrics import COMMIT_OPS, COMMIT_SECONDS
from reaction_svc.ports import FactCodec

SCHEMA_VERSION = 1
TOPIC = "reactions"
# A page that many commits change is copied into the file once in so many pages: 32 MB of log.
_CHECKPOINT_PAGES = 8_000
_FEW_OPS = 32
_GATHER_SECONDS = 0.004
_JUST_ENDED_SECONDS = 0.0007
_PARTITION = "0"  # an embedded log has one
_SCHEMA = Path(__file__).with_name("sqlite.sql")
_LATE_SCHEMA = Path(__file__).with_name("sqlite_late.sql")
_Result = TypeVar("_Result")
log = structlog.get_logger()


@dataclass(frozen=True)
class Limits:
    """What the store takes on."""

    # Distinct emoji of one target.
    max_emoji: int = 20
    # Operations that go into one commit; a larger batch of one call is not divided.
    ops_per_commit: int = 1_024
    # Operations that may wait for theirs; more are refused.
    ops_waiting: int = 32_768
    # How long a commit waits for other processes that write to the file, seconds.
    busy_seconds: float = 5.0


class SqliteReactionStore(Reads):
    """See `ports.ReactionStore`. Made by `open_sqlite_store`.

    Statements run on the event loop's thread, in few large steps, and only BEGIN, where it must wait, and COMMIT run
    beside it: a thread that works in small steps loses the interpreter lock at each of them and, while the loop is
    busy, gets it back no sooner than a switch interval (5 ms) later.
    """

    def __init__(self, log_: SqliteLog, encode: FactCodec, clock: Clock, limits: Limits) -> None:
        writing = connect(log_.path)
        adopt_schema(writing, "reaction_svc", SCHEMA_VERSION, _SCHEMA)
        adopt_schema(writing, "reaction_svc late operations", SCHEMA_VERSION, _LATE_SCHEMA)
        writing.set_busy_timeout(0)  # the loop's thread never waits for a lock
        writing.wal_autocheckpoint(_CHECKPOINT_PAGES)
        super().__init__(log_.path)
        self._writing = writing
        self._log = log_
        self._encode = encode
        self._clock = clock
        self._limits = limits
        self._step = Step(writing, limits.max_emoji)
        self._queue = Queue(limits.ops_waiting, limits.ops_per_commit)
        self._turn = asyncio.Lock()
        self._committed_at = 0.0  # on the loop's clock
        self._thread = ThreadPoolExecutor(1, "reaction-store")
        self._sweep = Sweep(writing)

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        """See `ports.ReactionStore`."""
        if not ops:
            return ()
        return await self._queue.add(ops)

    async def write(self) -> None:
        """Commits what waits, group by group; never returns."""
        while True:
            await self._queue.grown()
            await self._gather()
            if group := self._queue.take():
                await self._write(group, ops_of(group))

    async def _write(self, group: Sequence[Asked], ops: Sequence[Op]) -> None:
        COMMIT_OPS.observe(len(ops))
        try:
            async with self._turn:
                answers = await self._commit(lambda: self._apply(ops))
        except Exception as error:
            fail(group, error)
        else:
            self._step.committed()
            self._log.notify()
            answer(group, answers)
        self._committed_at = asyncio.get_running_loop().time()

    async def forget(self, before: int) -> int:
        """See `ports.ReactionStore`. Looks at a slice at a time, from the start again when it has seen all."""
        async with self._turn:
            return await self._commit(lambda: self._sweep.slice(before))

    def close(self) -> None:
        """Closes the file; nothing may be under way any more."""
        self._thread.shutdown()
        self._queue.close()
        self._writing.close()
        super().close()

    async def _gather(self) -> None:
        """Where a commit has only just ended and few operations wait, gives more of them the time to come.

        On a fast disk hardly anything comes while a commit is under way, and a commit of one operation costs the
        process as much as one of thirty. Who reacts alone, one change after the other, never meets this.
        """
        just_ended = asyncio.get_running_loop().time() - self._committed_at < _JUST_ENDED_SECONDS
        if just_ended and self._queue.ops < _FEW_OPS:
            await asyncio.sleep(_GATHER_SECONDS)

    def _apply(self, ops: Sequence[Op]) -> list[Outcome | Refusal]:
        return self._step.run(ops, int(self._clock.now() * 1_000_000), self._append)

    def _append(self, facts: Sequence[Fact]) -> None:
        self._log.append_within(self._writing, TOPIC, _PARTITION, self._encode(facts))

    async def _commit(self, work: Callable[[], _Result]) -> _Result:
        """Does the work in a transaction of its own. Raises Unavailable, or OutcomeUnknown from the commit itself."""
        connection = self._writing
        try:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                await self._beside(self._begin_patiently)
            result = work()
        except apsw.Error as error:
            self._take_back()
            raise Unavailable(f"the store cannot be used, nothing was done: {error}", retry_after=0.5) from error
        except BaseException:
            self._take_back()
            raise
        with COMMIT_SECONDS.time():
            try:
                await self._beside(lambda: connection.execute("COMMIT"))
            except (apsw.FullError, apsw.BusyError) as error:
                self._take_back()
                raise Unavailable(f"the change could not be saved: {error}", retry_after=1.0) from error
            except apsw.Error as error:
                self._take_back()
                raise OutcomeUnknown(f"nobody can tell whether the change was saved: {error}") from error
        return result

    def _begin_patiently(self) -> None:
        self._writing.set_busy_timeout(round(self._limits.busy_seconds * 1000))
        try:
            self._writing.execute("BEGIN IMMEDIATE")
        finally:
            self._writing.set_busy_timeout(0)

    async def _beside(self, work: Callable[[], object]) -> None:
        """Does the work on the store's thread; even when cancelled, ends no sooner than the work."""
        working = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            raise

    def _take_back(self) -> None:
        self._step.taken_back()
        try:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
        except apsw.Error as error:
            log.error("rollback failed", error=str(error))


@asynccontextmanager
async def open_sqlite_store(
    log_: SqliteLog, encode: FactCodec, clock: Clock, limits: Limits | None = None
) -> AsyncIterator[SqliteReactionStore]:
    """Opens the store in the log's file; raises `NewerData` where a newer version of this program wrote it."""
    store = SqliteReactionStore(log_, encode, clock, limits or Limits())
    try:
        async with background(store.write()):
            yield store
    finally:
        store.close()
