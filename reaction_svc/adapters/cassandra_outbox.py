"""From the outbox to the log: the facts of completed batches, in order, however long the log is away."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from kit.engines import Log
from kit.errors import Problem
from kit.target import partition_of
from reaction_svc.adapters.cassandra_batch import Batch, facts_of
from reaction_svc.adapters.cassandra_rows import Rows
from reaction_svc.domain import Fact
from reaction_svc.metrics import OUTBOX_AGE, OUTBOX_FACTS
from reaction_svc.ports import FactCodec

TOPIC = "reactions"
_FACTS_AT_ONCE = 4_000
_PAUSES = (0.02, 0.05, 0.1, 0.25, 0.5)
_AFTER_SECONDS, _AFTER_PAUSE = 15.0, 0.005
_OLDER_SECONDS, _OLDER_PAUSE = 60.0, 0.05
log = structlog.get_logger()


class _Waiting(NamedTuple):
    seq: int
    facts: Sequence[Sequence[Fact]] | None
    """Target by target; None: to be read from the outbox again."""
    size: int
    after: Sequence[tuple[str, int]]
    since: float


class Publisher:
    """Writes facts on the log, each in the partition of its target."""

    def __init__(self, log_: Log, encode: FactCodec) -> None:
        self._log = log_
        self._encode = encode

    async def publish(self, facts: Iterable[Sequence[Fact]]) -> None:
        """Returns once all facts are on the log, given target by target; tries until they are. The order stays."""
        partitions = self._log.partitions(TOPIC)
        parts: dict[int, list[Fact]] = {}
        for some in facts:
            parts.setdefault(partition_of(some[0][0], some[0][1], partitions), []).extend(some)
        await asyncio.gather(*(self._append(partition, part) for partition, part in parts.items()))

    async def _append(self, partition: int, facts: Sequence[Fact]) -> None:
        payload = self._encode(facts)
        failures = 0
        while True:
            try:
                await self._log.append(TOPIC, str(partition), payload, partition)
                return
            except Problem as problem:
                if failures == 0:
                    log.warning("facts wait for the log", partition=partition, facts=len(facts), error=str(problem))
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1


class Outbox:
    """What this process has completed and not yet published. Beyond `in_memory` facts, batches are read again."""

    def __init__(
        self,
        rows: Rows,
        publisher: Publisher,
        in_memory: int,
        most: int,
        others: Callable[[str], Awaitable[int | None]],
        published_more: asyncio.Event,
    ) -> None:
        """`others` says up to where another writer has published; None where it has nothing left.

        `published_more` is set whenever this one has published more.
        """
        self._rows = rows
        self._publisher = publisher
        self._in_memory = in_memory
        self._most = most
        self._others = others
        self._published_more = published_more
        self._waiting: deque[_Waiting] = deque()
        self._facts = 0
        self._held = 0
        self._grown = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._older: set[str] = set()
        self.node = ""
        self.published = 0

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing should be added."""
        return self._facts >= self._most

    def begin(self, node: str, older: Iterable[str] = ()) -> None:
        """Goes on with a new outbox, without what is left in the old one: whoever adopts that publishes it.

        `older` outboxes have facts that belong before all of this one's.
        """
        self.node = node
        self._older = set(older)
        self.published = 0
        self._waiting.clear()
        self._facts = self._held = 0
        self._empty.set()

    def add(self, batch: Batch, facts: Sequence[Sequence[Fact]]) -> None:
        """Takes the next completed batch; one of another outbox than the present is left to who adopts that."""
        if batch.node != self.node:
            return
        size = sum(map(len, facts))
        keep = self._held + size <= self._in_memory
        self._waiting.append(_Waiting(batch.seq, facts if keep else None, size, batch.after, time.monotonic()))
        self._facts += size
        self._held += size if keep else 0
        self._empty.clear()
        self._grown.set()

    async def drained(self) -> None:
        """Returns once nothing waits."""
        await self._empty.wait()

    async def run(self) -> None:
        """Publishes what there is, in order; never returns."""
        while True:
            if not self._waiting:
                self._empty.set()
                self._grown.clear()
                await self._grown.wait()
            if self._older:
                await self._come_after_older()
            node, some = self.node, self._next()
            for each in some:
                for other, seq in each.after:
                    await self.come_after(other, seq)
            facts: list[Sequence[Fact]] = []
            for each in some:
                facts += await self._read(node, each.seq) if each.facts is None else each.facts
            if facts:
                await self._publisher.publish(facts)
            if node != self.node:
                continue  # it went on as another meanwhile
            for each in some:
                self._waiting.popleft()
                self._facts -= each.size
                self._held -= 0 if each.facts is None else each.size
            self.published = some[-1].seq
            self._published_more.set()

    def measure(self) -> None:
        """Tells the metrics."""
        OUTBOX_FACTS.set(self._facts)
        OUTBOX_AGE.set(time.monotonic() - self._waiting[0].since if self._waiting else 0)

    def _next(self) -> list[_Waiting]:
        some: list[_Waiting] = []
        facts = 0
        for each in self._waiting:
            # What comes after another's facts may have to wait for them, and others not with it.
            if some and (facts + each.size > _FACTS_AT_ONCE or each.after):
                break
            some.append(each)
            facts += each.size
        return some

    async def _read(self, node: str, seq: int) -> list[list[Fact]]:
        failures = 0
        while True:
            try:
                for batch, _ in await self._rows.batches(node, seq - 1):
                    return facts_of(batch)
                log.error("a batch has gone from the outbox", node=node, seq=seq)
                return []
            except Problem:
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1

    async def _come_after_older(self) -> None:
        until = time.monotonic() + _OLDER_SECONDS
        while self._older and time.monotonic() < until:
            try:
                self._older &= {node.node for node in await self._rows.nodes()}
            except Problem as problem:
                log.info("older outboxes are looked for again", error=str(problem))
            if self._older:
                await asyncio.sleep(_OLDER_PAUSE)
        if self._older:
            log.warning("facts of older outboxes are late", outboxes=len(self._older))
            self._older.clear()

    async def come_after(self, other: str, seq: int) -> None:
        """Waits until another writer's facts are on the log; not for ever: counters notice what comes out of order."""
        until = time.monotonic() + _AFTER_SECONDS
        while time.monotonic() < until:
            try:
                published = await self._others(other)
            except Problem:
                published = 0
            if published is None or published >= seq:
                return
            await asyncio.sleep(_AFTER_PAUSE)
        log.warning("facts of another writer are late", writer=other, seq=seq)
