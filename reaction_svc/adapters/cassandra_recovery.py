"""What others have left undone: outboxes of writers that are gone, and what Redis knew before it lost its memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from kit.errors import Problem
from kit.ids import new_id
from reaction_svc.adapters.cassandra_batch import Batch, decode_batch, facts_of
from reaction_svc.adapters.cassandra_outbox import Publisher
from reaction_svc.adapters.cassandra_rows import OutboxNode, Rows
from reaction_svc.adapters.redis_hot import Fenced, Hot
from reaction_svc.metrics import OUTBOXES_ADOPTED

_RECOVER_SECONDS = 30.0
_PAUSE_SECONDS = 0.02
log = structlog.get_logger()


@dataclass
class Home:
    """A writer of one generation: the name of its outbox, the last batch taken, and the calls it made for it."""

    generation: str
    node: str
    seq: int = 0
    attempt: int = 0


class Recovery:
    """Begins writers, and finishes those of others."""

    def __init__(
        self,
        rows: Rows,
        hot: Hot,
        publisher: Publisher,
        come_after: Callable[[str, int], Awaitable[None]],
        *,
        write_seconds: float,
        grace_seconds: float,
    ) -> None:
        """`come_after` waits until another writer's facts are on the log, up to a batch."""
        self._rows = rows
        self._hot = hot
        self._publisher = publisher
        self._come_after = come_after
        self._write_seconds = write_seconds
        self._grace_seconds = grace_seconds

    async def begin(self) -> Home:
        """Becomes a new writer, once the generation is ready: where it is not, sees to that with the others.

        A new generation waits for the longest write still under way from before: until then nobody decides anything.
        """
        generation = await self._hot.generation()
        while not generation.ready:
            if generation.age < self._grace_seconds and await self._rows.nodes():
                await asyncio.sleep(min(self._grace_seconds - generation.age + 0.001, 0.5))
            elif await self._hot.lock(f"recover {generation.id}", _RECOVER_SECONDS):
                await self._recover(generation.id)
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
            generation = await self._hot.generation()
        home = Home(generation.id, new_id())
        await self._rows.save_node(home.node, home.generation)
        await self._hot.enter(home.generation, home.node, home.node)
        return home

    async def help(self, generation: str, writers: Mapping[str, int]) -> None:
        """Completes what these writers have not confirmed, up to these batches. Raises Lost."""
        for node, last in writers.items():
            pending = await self._hot.pending(generation, node)
            until = time.monotonic() + self._write_seconds
            helped = [seq for seq in pending if seq <= last]
            for seq in helped:
                await self._complete(decode_batch(pending[seq]), pending[seq], until)
            if helped:
                await self._hot.confirm(generation, node, helped)

    async def complete(self, batches: Mapping[int, tuple[Batch, bytes]]) -> None:
        """Writes all of these batches, in order. The generation that took them must have been seen alive just now."""
        until = time.monotonic() + self._write_seconds
        for _, (batch, blob) in sorted(batches.items()):
            await self._complete(batch, blob, until)

    async def adopt(self, home: Home) -> int:
        """Finishes the outboxes whose writers are gone, as far as nobody else does; returns how many. Raises Lost.

        Side by side: facts of one may have to wait for those of another.
        """
        found: list[str] = []
        for node in await self._rows.nodes():
            if node.node != home.node:
                try:
                    await self._hot.enter(home.generation, node.node, home.node)
                except Fenced:
                    continue  # its writer lives, or another has adopted it
                found.append(node.node)
        failures = await asyncio.gather(*(self._adopt(home, name) for name in found), return_exceptions=True)
        for failure in failures:
            if failure is not None:
                raise failure
        return len(found)

    async def _adopt(self, home: Home, name: str) -> None:
        try:
            await self._finish(home, name)
        except BaseException:
            await self._give_back(home, name)
            raise
        OUTBOXES_ADOPTED.inc()

    async def _recover(self, generation: str) -> None:
        """Redoes what is in the outboxes of older generations, and cuts them off behind it."""
        for node in await self._rows.nodes():
            if node.generation == generation or node.cut is not None:
                continue
            last = node.published
            while batches := await self._rows.batches(node.node, last):
                for batch, _ in batches:
                    await self._rows.save_entries(batch.entries, time.monotonic() + 10)
                    last = batch.seq
            await self._rows.save_cut(node.node, last)
            log.info("outbox recovered", node=node.node, last=last)
        await self._hot.ready(generation)
        log.info("redis is ready", generation=generation)

    async def _finish(self, home: Home, name: str) -> None:
        node = await self._rows.node(name)
        if node is not None:
            last = node.published
            # Others may be waiting for what is on the log already, and this for them.
            await self._hot.touch(home.generation, name, home.node, last)
            if node.generation == home.generation:
                pending = await self._hot.pending(home.generation, name)
                await self.complete({seq: (decode_batch(blob), blob) for seq, blob in pending.items()})
            while batches := await self._rows.batches(name, last):
                done = [batch for batch, _ in batches if self._happened(home, node, batch)]
                for some in _in_order(done):
                    for other, seq in some[0].after:
                        await self._come_after(other, seq)
                    await self._publisher.publish([facts for batch in some for facts in facts_of(batch)])
                    last = some[-1].seq
                    await self._hot.touch(home.generation, name, home.node, last)
                if len(done) < len(batches):
                    break
            await self._rows.drop_node(name)
            log.info("outbox adopted", node=name, published=last)
        await self._hot.finish(home.generation, name, home.node)

    @staticmethod
    def _happened(home: Home, node: OutboxNode, batch: Batch) -> bool:
        return node.generation == home.generation or batch.seq <= (node.cut or 0)

    async def _give_back(self, home: Home, name: str) -> None:
        try:
            await self._hot.leave(home.generation, name, home.node)
        except (Problem, Exception) as error:
            log.info("an adopted outbox is left to its lease", node=name, error=str(error))

    async def _complete(self, batch: Batch, blob: bytes, until: float) -> None:
        await self._rows.save_batch(batch, blob, until)
        await self._rows.save_entries(batch.entries, until)


def _in_order(batches: Sequence[Batch]) -> list[list[Batch]]:
    """The same batches, divided before each that comes after another writer's."""
    parts: list[list[Batch]] = []
    for batch in batches:
        if not parts or batch.after:
            parts.append([])
        parts[-1].append(batch)
    return parts
