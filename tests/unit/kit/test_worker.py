"""The thread that works for the loop: results, failures, and what a cancelled caller waits for."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from kit.worker import Worker


async def test_jobs_run_in_order_in_one_other_thread() -> None:
    worker = Worker("w")
    order: list[int] = []

    def work(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    found = await asyncio.gather(*(worker.run(partial(work, number)) for number in range(5)))
    await worker.close()
    assert order == [0, 1, 2, 3, 4]
    assert len(set(found)) == 1
    assert found[0] != threading.get_ident()


async def test_a_failure_is_raised_and_the_next_job_is_run() -> None:
    worker = Worker("w")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 2) == 2
    await worker.close()


async def test_a_cancelled_caller_returns_after_the_work() -> None:
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
    await worker.close()


async def test_a_close_waits_for_submitted_and_final_work_in_the_same_thread() -> None:
    worker = Worker("w")
    done: list[tuple[str, int]] = []
    waiting = asyncio.create_task(worker.run(lambda: done.append(("work", threading.get_ident()))))
    await asyncio.sleep(0)
    await worker.close(lambda: done.append(("last", threading.get_ident())))
    await waiting
    assert [name for name, _ in done] == ["work", "last"]
    assert done[0][1] == done[1][1] != threading.get_ident()


async def test_a_long_close_can_be_cancelled_and_its_last_work_is_still_done() -> None:
    worker = Worker("w")
    may_end, has_ended = threading.Event(), threading.Event()

    def last() -> None:
        assert may_end.wait(5)
        has_ended.set()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.close(last), 0.01)
    may_end.set()
    assert await asyncio.to_thread(has_ended.wait, 5)


async def test_a_closed_worker_refuses_jobs_immediately() -> None:
    worker = Worker("w")
    await worker.close()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="w is closed"):
            await worker.run(lambda: 1)
