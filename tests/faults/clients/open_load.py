"""A load of operations at a rate that does not wait for answers; each is repeated until its answer is final."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tests.faults.clients.grpc_clients import UNEXPECTED_CODES, Reply

# Operations in flight above which further ones are dropped: an open loop, but bounded. The bound is lower before the
# fault: engines that have just started would be overloaded, and the overload would be retried.
_MAX_IN_FLIGHT, _MAX_IN_FLIGHT_WARMING = 2_000, 100
BACKOFF = (0.05, 1.0)
# The share of operations that stop after a refusal: a refused operation must not have been made.
_GIVE_UP = 0.2
Operation = TypeVar("Operation")


@dataclass(slots=True)
class LoadStats:
    """Counters of a load while it runs."""

    offered: int = 0
    acked: int = 0
    dropped: int = 0
    gave_up: int = 0
    unexpected: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class OpenLoad(Generic[Operation]):
    """Offers operations. Subclasses say which, and how one is attempted."""

    def __init__(self, rate: float, seed: int, repeated: float, spread: float) -> None:
        """`repeated`: the share of operations sent several times, within `spread` seconds."""
        self.tally = LoadStats()
        self.failed: list[BaseException] = []
        """Errors of the load itself."""
        self._max_in_flight = _MAX_IN_FLIGHT_WARMING
        self._rate = rate
        self._repeat = repeated
        self._spread = spread
        self._random = random.Random(seed)
        self._in_flight_tasks: set[asyncio.Task[None]] = set()
        self._until = float("inf")
        self._done = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """The number of operations in flight."""
        return len(self._in_flight_tasks)

    async def run(self) -> None:
        """Offers operations until `finish`."""
        due = time.monotonic()
        while not self._done.is_set():
            due += self._random.expovariate(self._rate)
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)  # the pace of the load
            elif wait < -0.05:
                await asyncio.sleep(0)  # a load that is late lets others run
            if len(self._in_flight_tasks) >= self._max_in_flight:
                self.tally.dropped += 1
            else:
                self._start(*self.next_work())

    def allow_full_load(self) -> None:
        """Raises the bound of operations in flight to that of a warm system."""
        self._max_in_flight = _MAX_IN_FLIGHT
        self.tally.dropped = 0

    async def finish(self, settle_timeout: float) -> None:
        """Stops offering operations, and waits at most `settle_timeout` seconds for all answers."""
        self._done.set()
        self._until = time.monotonic() + settle_timeout
        while self._in_flight_tasks and time.monotonic() < self._until:
            await asyncio.wait(set(self._in_flight_tasks), timeout=self._until - time.monotonic())
        for task in list(self._in_flight_tasks):
            task.cancel()
        await asyncio.gather(*self._in_flight_tasks, return_exceptions=True)

    def next_work(self) -> tuple[Coroutine[Any, Any, None], int]:
        """The next work, and its number of operations."""
        raise NotImplementedError

    async def attempt(self, operation: Operation) -> Reply | None:
        """Makes one attempt; None where none can be made now."""
        raise NotImplementedError

    def on_final(self, operation: Operation, reply: Reply) -> None:
        """Called with the final answer of each copy of an operation."""

    async def repeated(self, operation: Operation) -> None:
        """Makes an operation, and some of them several times: at once or later, through any client."""
        copies = self._random.randint(2, 5) if self._random.random() < self._repeat else 1
        if copies == 1:
            await self._repeat_until_final(operation, 0.0)
            return
        spread = [self._random.uniform(0, self._spread) for _ in range(copies - 1)]
        await asyncio.gather(*(self._repeat_until_final(operation, later) for later in (0.0, *spread)))

    async def pause(self, reply: Reply | None, wait: float) -> float:
        """Waits as a client backs off; returns the next wait."""
        wanted = reply.wait if reply is not None and reply.wait else wait * self._random.uniform(0.5, 1.5)
        await asyncio.sleep(wanted)
        return min(wait * 2, BACKOFF[1])

    @property
    def is_over(self) -> bool:
        """Whether the time for answers is over."""
        return time.monotonic() > self._until

    def count_reply(self, reply: Reply) -> None:
        """Counts a reply."""
        if reply.kind == "ok":
            self.tally.acked += 1
            return
        code = str(reply.result.get("code") or "")
        self.tally.reasons[f"{code} {reply.result.get('reason', '')}".strip()] += 1
        if code in UNEXPECTED_CODES:
            self.tally.unexpected[f"{code} {reply.result.get('message', '')}".strip()] += 1

    async def _repeat_until_final(self, operation: Operation, later: float) -> None:
        await asyncio.sleep(later)  # the load's own spread
        gives_up = self._random.random() < _GIVE_UP
        wait = BACKOFF[0]
        while True:
            reply = await self.attempt(operation)
            if reply is not None:
                self.count_reply(reply)
                if reply.final:
                    self.on_final(operation, reply)
                    return
                if gives_up and reply.kind == "fail" and not reply.wait:
                    return
            if self.is_over:
                self.tally.gave_up += 1
                return
            wait = await self.pause(reply, wait)

    def _start(self, work: Coroutine[Any, Any, None], operations: int) -> None:
        self.tally.offered += operations
        task = asyncio.create_task(work)
        self._in_flight_tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._in_flight_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(error)
