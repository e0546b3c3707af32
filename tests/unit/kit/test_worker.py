"""The thread that works for the loop: results, failures, and what a cancelled caller waits for."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from kit.adapters.worker import Worker


async def test_work_is_done_in_order_in_one_other_thread() -> None:
    worker = Worker("w")
    order: list[int] = []

    def work(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    found = await asyncio.gather(*(worker.run(partial(work, number)) for number in range(5)))
    worker.close()
    assert order == [0, 1, 2, 3, 4]
    assert len(set(found)) == 1
    assert found[0] != threading.get_ident()


async def test_a_failure_is_raised_and_the_next_work_is_done() -> None:
    worker = Worker("w")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 2) == 2
    worker.close()


async def test_who_is_cancelled_ends_no_sooner_than_the_work() -> None:
    worker = Worker("w")
    loop, began, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(5)

    working = asyncio.create_task(worker.run(work))
    await began.wait()
    working.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not working.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    worker.close()


async def test_closing_waits_for_what_was_asked_for() -> None:
    worker = Worker("w")
    done: list[bool] = []
    waiting = asyncio.create_task(worker.run(lambda: done.append(True)))
    await asyncio.sleep(0)
    worker.close()
    assert done == [True]
    await waiting


async def test_a_closed_worker_refuses_work_instead_of_keeping_its_caller() -> None:
    worker = Worker("w")
    worker.close()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="w is closed"):
            await worker.run(lambda: 1)
