"""Loops that go on: run, log what broke, wait a little longer each time, run again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()
_Result = TypeVar("_Result")


async def keep_running(
    name: str, attempt: Callable[[], Awaitable[None]], *, floor: float = 0.05, ceiling: float = 2.0
) -> None:
    """Runs `attempt` for ever, with full-jitter pauses (seconds) that double after each failure; ends by cancellation.

    An attempt that lasted longer than the ceiling starts the pauses anew.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await attempt()
            reason = "ended"
        except Exception as error:
            reason = f"{type(error).__name__}: {_short(error)}"
        failures = 1 if time.monotonic() - began > ceiling else failures + 1
        pause = random.uniform(floor, min(ceiling, floor * 2 ** min(failures, 16)))
        log.info("loop will run again", loop=name, after=reason, pause_ms=round(pause * 1000), failures=failures)
        await asyncio.sleep(pause)


async def heeding(work: Awaitable[_Result]) -> _Result:
    """What `work` returns; a cancellation that came meanwhile is raised, also where `work` has swallowed it.

    `asyncio.wait_for` does that, before Python 3.12, where its work ends just then; and a loop that is not cancelled
    when it is told to never ends.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await work
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _short(error: Exception) -> str:
    details = getattr(error, "details", None)  # grpc.aio.AioRpcError says it all in one long repr
    text = details() if callable(details) else str(error)
    return str(text).replace("\n", " ")[:200]


class Crew:
    """The tasks of one block. Made by `crew`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside the block; its failure breaks the block."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def dismiss(self) -> None:
        """Cancels what still runs."""
        for task in list(self._tasks):
            task.cancel()


@asynccontextmanager
async def crew() -> AsyncIterator[Crew]:
    """Tasks that live no longer than the block. The block's own exception leaves it as it is, in no group."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = Crew(group)
        try:
            yield tasks
        except Exception as error:
            failure = error
        finally:
            tasks.dismiss()
    if failure is not None:
        raise failure


@asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs the coroutines beside the block and cancels them when it ends; a failure of one breaks the block."""
    async with crew() as tasks:
        for coroutine in coroutines:
            tasks.start(coroutine)
        yield
