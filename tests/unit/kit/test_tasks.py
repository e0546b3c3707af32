"""A cancellation that the work awaited has swallowed."""

from __future__ import annotations

import asyncio

import pytest

from kit.tasks import propagate_cancellation


async def swallowing(begun: asyncio.Event) -> str:
    begun.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "as if nothing had happened"
    return ""


async def test_a_loop_ends_although_its_awaited_call_swallows_the_cancellation() -> None:
    begun = asyncio.Event()

    async def loop() -> None:
        while True:
            await propagate_cancellation(swallowing(begun))

    task = asyncio.create_task(loop())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_later_awaits_of_a_cancelled_task_are_not_cancelled() -> None:
    begun = asyncio.Event()

    async def answer() -> str:
        return "tidied up"

    async def close_idle() -> str:
        try:
            return await swallowing(begun)
        finally:
            assert await propagate_cancellation(answer()) == "tidied up"

    task = asyncio.create_task(close_idle())
    await begun.wait()
    task.cancel()
    assert await task == "as if nothing had happened"
