from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from kit.loop_handoff import LoopHandoff


@pytest.fixture
def _threads_switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def test_items_that_arrive_together_are_delivered_together_in_order() -> None:
    calls: list[list[int]] = []
    handoff: LoopHandoff[int] = LoopHandoff(calls.append)
    for item in range(3):
        handoff.put(item)
    await asyncio.sleep(0)
    assert calls == [[0, 1, 2]]
    handoff.put(3)
    await asyncio.sleep(0)
    assert calls == [[0, 1, 2], [3]]


async def test_an_item_that_arrives_during_a_delivery_is_delivered_next() -> None:
    delivered: list[int] = []

    def deliver(items: list[int]) -> None:
        delivered.extend(items)
        if items == [1]:
            handoff.put(2)

    handoff = LoopHandoff(deliver)
    handoff.put(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert delivered == [1, 2]


@pytest.mark.usefixtures("_threads_switch_often")
async def test_no_item_of_several_threads_is_lost() -> None:
    count, delivered = 20_000, 0
    all_there = asyncio.Event()

    def deliver(items: list[int]) -> None:
        nonlocal delivered
        delivered += len(items)
        if delivered == 2 * count:
            all_there.set()

    handoff = LoopHandoff(deliver)

    def put_all() -> None:
        for n in range(count):
            handoff.put(n)

    threads = [Thread(target=put_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(30):
        await all_there.wait()
    for thread in threads:
        thread.join()


async def test_a_closed_loop_is_no_error() -> None:
    async def made() -> LoopHandoff[int]:
        return LoopHandoff(lambda items: None)

    def in_a_loop_of_its_own() -> LoopHandoff[int]:
        return asyncio.run(made())

    handoff = await asyncio.to_thread(in_a_loop_of_its_own)
    handoff.put(1)
