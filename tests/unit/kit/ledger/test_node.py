"""A node's shards, driven on a real loop over a store in memory that can be held up or fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY

from kit.adapters.memory_ledger import MemoryLedgerStore
from kit.clock import SystemClock
from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.entry import Entry
from kit.ledger.errors import ShardNotServed
from kit.ledger.node import LedgerNode, running_node
from tests.flows.crowd import eventually
from tests.unit.kit.ledger.shard_stage import LIMITS, NEWER, Texts, entry


class GatedStore(MemoryLedgerStore):
    """Commits wait for a gate, or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.failure: Exception | None = None

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        self.entered.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await super().commit(shard, entry, writes)


class Tables:
    """See `kit.ledger.ports.Tables`; loads wait for a gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.written: list[str] = []

    async def load(self, shard: int, need: Any) -> Any:
        self.entered.set()
        await self.gate.wait()

    async def write(self, shard: int, writes: list[str]) -> None:
        self.written += writes


class EventLog:
    """See `kit.ledger.ports.LedgerEventLog`."""

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        return None


def started(
    store: GatedStore, tables: Tables | None = None, shards: int = 2
) -> AbstractAsyncContextManager[LedgerNode]:
    tables = tables or Tables()
    return running_node(
        "things",
        shards,
        store,
        tables,
        EventLog(),
        Texts,
        SystemClock(),
        LIMITS,
        lambda shard: True,
        grace_seconds=lambda: 0.2,
    )


@asynccontextmanager
async def asked(node: LedgerNode, *commands: str, timeout: float = 5.0) -> AsyncIterator[asyncio.Task[Any]]:
    """A call that is under way."""
    task = asyncio.create_task(node.execute(0, commands, timeout))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def measured(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"ledger": "things"})


async def test_an_entry_of_a_newer_format_stops_its_shard_with_a_reason_and_no_other_shard() -> None:
    store = GatedStore()
    await store.commit(0, entry(1, NEWER), None)
    async with started(store) as node:
        with pytest.raises(ShardNotServed, match="format 9"):
            await node.execute(0, ["a"], 5.0)
        assert (await node.execute(1, ["b"], 5.0)).answers == ["b1"]
        assert measured("plaudit_ledger_stopped_shards") == 1
        with pytest.raises(ShardNotServed, match="format 9"):
            await node.execute(0, ["a"], 5.0)
    assert store.shards[0].tail == 1


async def test_a_call_that_times_out_before_its_decision_changes_nothing() -> None:
    store, tables = GatedStore(), Tables()
    tables.gate.clear()
    async with started(store, tables) as node:
        async with asked(node, "key:a", timeout=0.05) as call:
            with pytest.raises(Unavailable):
                await call
        tables.gate.set()
        assert (await node.execute(0, ["b"], 5.0)).answers == ["b1"]


async def test_a_call_that_times_out_after_its_decision_is_unknown_and_takes_effect() -> None:
    store, tables = GatedStore(), Tables()
    store.gate.clear()
    async with started(store, tables) as node:
        async with asked(node, "a", timeout=0.05) as call:
            with pytest.raises(OutcomeUnknown):
                await call
        store.gate.set()
        assert (await node.execute(0, ["b"], 5.0)).answers == ["b2"]
    assert tables.written == ["a", "b"]


async def test_calls_of_one_iteration_of_the_loop_make_one_entry() -> None:
    store = GatedStore()
    async with started(store) as node:
        await node.execute(0, ["first"], 5.0)
        answers = await asyncio.gather(*(node.execute(0, [f"{n}"], 5.0) for n in range(10)))
        assert [executed.answers for executed in answers] == [[f"{n}{n + 2}"] for n in range(10)]
        assert store.shards[0].tail == 2


async def test_an_unknown_append_is_resolved_before_the_next_decision() -> None:
    store = GatedStore()
    async with started(store) as node:
        await node.execute(0, ["a"], 5.0)
        store.failure = RuntimeError("the driver is confused")
        async with asked(node, "b") as call:
            await store.entered.wait()
            store.failure = None
            assert (await call).answers == ["b2"]
    assert store.shards[0].tail == 2


async def test_a_store_that_does_not_answer_for_a_second_is_store_unreachable() -> None:
    store = GatedStore()
    async with started(store) as node:
        await node.execute(0, ["a"], 5.0)
        store.failure = Unavailable("no route")
        with pytest.raises(Unavailable):
            await node.execute(0, ["b"], 5.0)
        assert not node.is_store_unreachable(0)

        async def away() -> bool:
            # The look of an owner at a quiet shard would succeed here, so it is asked again and again.
            with pytest.raises(Unavailable):
                await node.execute(0, ["b"], 5.0)
            return node.is_store_unreachable(0)

        await eventually(away)
        store.failure = None
        assert (await node.execute(0, ["c"], 5.0)).answers == ["c2"]
        assert not node.is_store_unreachable(0)


async def test_a_node_that_stops_finishes_what_it_has_accepted() -> None:
    store, tables = GatedStore(), Tables()
    async with started(store, tables) as node:
        await node.execute(0, ["a"], 5.0)
        store.entered.clear()
        async with asked(node, "b") as call:
            await store.entered.wait()
            await node.drain(5.0)
            assert (await call).answers == ["b2"]
        with pytest.raises(ShardNotServed):
            await node.execute(0, ["c"], 5.0)
    assert tables.written == ["a", "b"]
    assert store.shards[0].marks == (2, 2)
