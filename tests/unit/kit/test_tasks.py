"""Cancellations that awaited work has swallowed, and tasks of a scope that fail."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from kit.tasks import propagate_cancellation, task_scope


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


async def test_a_failed_task_of_a_scope_is_logged_before_the_block_has_ended() -> None:
    logged: list[str] = []

    async def fail() -> None:
        raise ValueError("it has failed")

    async def stopping_slowly() -> None:
        async with task_scope() as tasks:
            tasks.start(fail())
            try:
                await asyncio.Event().wait()
            finally:
                logged.extend(str(entry["exc_info"]) for entry in entries)

    with capture_logs() as entries, pytest.raises(ExceptionGroup):
        await stopping_slowly()
    assert logged == ["it has failed"]
