"""The writing half of the store: what waits is decided, offered to Redis, written, and acked in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from kit.clock import Clock
from kit.engines import Log
from kit.errors import OutcomeUnknown, Overloaded, Problem, Unavailable
from kit.tasks import Crew
from reaction_svc.adapters.cassandra_batch import Batch, encode_batch
from reaction_svc.adapters.cassandra_flight import Flight, Flights, Limits, new_flight
from reaction_svc.adapters.cassandra_known import Known
from reaction_svc.adapters.cassandra_outbox import Outbox, Publisher
from reaction_svc.adapters.cassandra_reads import Reads
from reaction_svc.adapters.cassandra_recovery import Home, Recovery
from reaction_svc.adapters.cassandra_rows import Rows
from reaction_svc.adapters.cassandra_step import Decided, Step
from reaction_svc.adapters.redis_hot import Fenced, Held, Hot, Lost, Moved
from reaction_svc.adapters.waiting import Asked, Queue, answer, fail, ops_of, still_asked
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.metrics import COMMIT_OPS, COMMIT_SECONDS, CONFLICTS
from reaction_svc.ports import FactCodec

_AGAIN_SECONDS, _RETRY_SECONDS = 0.004, 0.05
# At the earliest and at the latest, and in between after twice the time a batch of its own took.
_HELP_AFTER_SECONDS = 0.016, 0.5
_HELD_BATCHES = 256
log = structlog.get_logger()


class Writer(Reads):
    """Each batch goes through these steps: decided on targets as they are known; taken by Redis, whole, if all of them
    still stand there; written to the outbox, from when on it has happened; written to its tables; acked, in order. A
    step that cannot be finished is finished later, by this process or another, before anyone decides on its targets.
    """

    def __init__(
        self, cassandra: Rows, hot: Hot, log_: Log, encode: FactCodec, clock: Clock, limits: Limits, tasks: Crew
    ) -> None:
        super().__init__(cassandra, hot)
        publisher = Publisher(log_, encode)
        # Batches that are saved, how far this one's facts are on the log, and what of it Redis has been told.
        self._confirmed: list[int] = []
        self._told = 0
        self._to_tell = asyncio.Event()
        self._outbox = Outbox(
            cassandra, publisher, limits.outbox_in_memory, limits.outbox_facts, self._published_by, self._to_tell
        )
        self._recovery = Recovery(
            cassandra,
            hot,
            publisher,
            self._outbox.come_after,
            write_seconds=limits.write_seconds,
            grace_seconds=limits.grace_seconds,
        )
        self._known = Known(cassandra, hot, limits.heat, clock.monotonic, self._help)
        self._step = Step(cassandra, self._known, limits.max_emoji, clock.monotonic)
        self._clock = clock
        self._limits = limits
        self._tasks = tasks
        self._queue = Queue(limits.ops_waiting, limits.ops_per_commit)
        self._room = asyncio.Semaphore(limits.in_flight)
        self._flights = Flights()
        # Batches nobody can tell the outcome of; while there are any, nothing new is decided.
        self._doubtful: list[Flight] = []
        self._attention = asyncio.Event()
        self._ready = asyncio.Event()
        self._begun = asyncio.Event()
        self._held: deque[list[Held]] = deque(maxlen=_HELD_BATCHES)
        self._to_remember = asyncio.Event()
        self._took = 0.0
        # Time to look whether too much is kept in mind.
        self._crowded = False

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        """See `ports.ReactionStore`."""
        if not ops:
            return ()
        return await self._queue.add(ops)

    async def _write(self) -> None:
        """Decides what waits, group by group, and sends it on its way; never returns."""
        while True:
            await self._queue.grown()
            await self._flights.gather(self._queue.ops)
            await self._room.acquire()
            await self._flights.keep_up(self._limits.write_seconds)
            if self._crowded:  # at this moment no batch is being decided
                self._known.evict(self._flights.changes)
                self._crowded = False
            group = self._queue.take()
            flying = False
            try:
                flying = await self._commit(group)
            except Exception as error:
                if not isinstance(error, Problem):
                    log.exception("a batch could not be decided")
                fail(group, error)
            finally:
                if not flying:
                    self._room.release()

    async def _commit(self, group: Sequence[Asked]) -> bool:
        """Has the operations decided and taken; whether they are on their way then."""
        for _ in range(self._limits.rounds):
            group = still_asked(group)
            if not group:
                return False
            home = self._usable_home()
            now = int(self._clock.now() * 1_000_000)
            try:
                decided = await self._step.decide(home.generation, home.node, ops_of(group), now)
            except Lost:
                self._lose(home)
                continue
            batch = Batch(home.node, home.seq + 1, decided.after, decided.entries)
            blob = encode_batch(batch) if decided.entries else b""
            taken = await self._offer(home, batch, blob, decided, group)
            if taken:
                return taken == "flying"
            await self._flights.landed.wait()
            await asyncio.sleep(random.uniform(0, _AGAIN_SECONDS))
        raise Unavailable("others change the same targets all the time; nothing was done", retry_after=0.2)

    def _usable_home(self) -> Home:
        home = self._home
        if home is None or self._doubtful:
            self._attention.set()
            raise Unavailable("the store recovers from a failure; nothing was done", retry_after=0.5)
        if self._outbox.is_full:
            raise Overloaded("too many changes wait for the event log; nothing was done", retry_after=1.0)
        return home

    async def _offer(self, home: Home, batch: Batch, blob: bytes, decided: Decided, group: Sequence[Asked]) -> str:
        """Offers the batch to Redis. "flying": taken. "answered": nothing had to change. "": refused."""
        home.attempt += 1
        confirmed, published = self._confirmed[:], self._outbox.published
        flight = new_flight(home, batch, blob, group, decided, self._limits.write_seconds)
        keys = [change.key for change in decided.changes]
        try:
            await self._hot.change(
                home.generation, home.node, home.attempt, batch.seq, blob, decided.changes, published, confirmed
            )
        except Moved:
            CONFLICTS.inc()
            self._known.moved(keys)
            del self._confirmed[: len(confirmed)]
            return ""
        except (Lost, Fenced):
            self._lose(home)
            return ""
        except OutcomeUnknown:
            self._known.drop(keys)
            if not blob or not await self._was_taken(flight):
                return ""
        except BaseException:
            self._known.drop(keys)
            raise
        else:
            self._step.taken(decided)
            self._told = published
            del self._confirmed[: len(confirmed)]
        if not blob:
            # The answers rest on batches that may still be on their way.
            before = self._flights.last
            if before is None:
                answer(group, decided.answers)
                return "answered"
            flight.until = time.monotonic() + self._limits.write_seconds
        else:
            home.seq = batch.seq
        self._send(flight)
        return "flying"

    async def _was_taken(self, flight: Flight) -> bool:
        """Finds out about a batch whose offer was not answered; from then on it cannot be taken any more."""
        home = flight.home
        until = time.monotonic() + self._limits.write_seconds
        while time.monotonic() < until:
            try:
                last = await self._hot.settle(home.generation, home.node, flight.attempt)
            except (Lost, Fenced):
                self._lose(home)
                break  # others find out
            except Problem:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            flight.until = time.monotonic() + self._limits.write_seconds
            return last >= flight.batch.seq
        else:
            self._doubtful.append(flight)
            self._attention.set()
        raise OutcomeUnknown("nobody can tell whether the change was made: Redis did not answer")

    def _send(self, flight: Flight) -> None:
        before = self._flights.last
        COMMIT_OPS.observe(len(flight.decided.answers))
        self._flights.begin(flight)
        self._tasks.start(self._carry(flight, before))

    async def _carry(self, flight: Flight, before: Flight | None) -> None:
        """Writes a batch, acks it after those before it, and has it published."""
        ok = False
        began = time.monotonic()
        try:
            await self._store(flight, before)
            if before is not None and not await before.done:
                raise OutcomeUnknown("nobody can tell whether an earlier change was saved")
            if time.monotonic() > flight.until:
                await self._verify(flight.home)
            ok = True
        except Exception as error:
            if not isinstance(error, Problem):
                log.exception("a batch could not be saved")
            self._land_unsaved(flight, error)
        finally:
            if not flight.durable.done():
                flight.durable.set_result(False)
            flight.done.set_result(ok)
            self._flights.end(flight)
            self._room.release()
        if ok:
            self._took = time.monotonic() - began
            COMMIT_SECONDS.observe(self._took)
            answer(flight.group, flight.decided.answers)
            self._completed(flight)

    async def _verify(self, home: Home) -> None:
        """What was saved late counts only if nobody has begun to recover meanwhile."""
        try:
            await self._hot.touch(home.generation, home.node, home.node, self._outbox.published)
        except (Lost, Fenced):
            self._lose(home)
            raise OutcomeUnknown("the change took too long to be saved") from None

    async def _store(self, flight: Flight, before: Flight | None) -> None:
        if flight.blob:
            await self._rows.save_batch(flight.batch, flight.blob, flight.until)
        if before is not None and not await before.durable:
            raise OutcomeUnknown("nobody can tell whether an earlier change was saved")
        flight.durable.set_result(True)
        if flight.blob:
            await self._rows.save_entries(flight.batch.entries, flight.until, flight.decided.records)

    def _completed(self, flight: Flight) -> None:
        if flight.blob:
            self._confirmed.append(flight.batch.seq)
            self._to_tell.set()
            self._outbox.add(flight.batch, flight.decided.facts)
            self._held.append(flight.decided.held)
            self._to_remember.set()

    def _land_unsaved(self, flight: Flight, error: Exception) -> None:
        """Nobody can tell whether this batch is saved: it will be, or is found to be lost, before anything new is."""
        log.warning("a batch is not known to be saved", seq=flight.batch.seq, error=str(error))
        if flight.blob and flight.home is self._home:
            self._doubtful.append(flight)
        self._known.forget()
        self._attention.set()
        fail(flight.group, OutcomeUnknown(f"nobody can tell whether the change was saved: {error}"))

    def _lose(self, home: Home) -> None:
        """This writer may not go on: another finishes what it has left, and a new one begins."""
        if self._home is home:
            self._home = None
            self._ready.clear()
            log.warning("redis has lost its memory, or others have taken over", outbox=home.node)
        self._known.forget()
        self._attention.set()

    async def _help(self, writers: Mapping[str, int], waited: float) -> None:
        if waited < min(max(_HELP_AFTER_SECONDS[0], 2 * self._took), _HELP_AFTER_SECONDS[1]):
            return  # most often they are about to finish themselves, and twice the work takes no less
        home = self._usable_home()
        await self._recovery.help(home.generation, writers)

    async def _published_by(self, node: str) -> int | None:
        """Up to where another writer has published; None where it has nothing left."""
        found = await self._hot.published(node)
        if found is None and await self._rows.node(node) is not None:
            return 0  # somebody has yet to adopt it
        return found
