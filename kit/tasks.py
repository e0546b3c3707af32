"""Task scopes, background tasks, and loops that restart with backoff."""

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
_SILENT_FAILURES = 2


async def run_with_backoff(
    name: str, attempt: Callable[[], Awaitable[None]], *, floor: float = 0.05, ceiling: float = 2.0
) -> None:
    """Runs `attempt` again and again until it is cancelled, with full-jitter pauses (seconds) that double each time.

    After an attempt that lasted longer than the ceiling, the pauses start from the floor again.
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
        # A few failures are normal at the start and at the stop of a process or of its peers.
        report = log.info if failures > _SILENT_FAILURES else log.debug
        report(
            "loop failed, running it again", loop=name, after=reason, pause_ms=round(pause * 1000), failures=failures
        )
        await asyncio.sleep(pause)


async def propagate_cancellation(work: Awaitable[_Result]) -> _Result:
    """Returns what `work` returns, and raises a cancellation that came meanwhile, also where `work` swallowed it.

    Before Python 3.12, `asyncio.wait_for` swallows a cancellation that comes when its work ends; a loop would then
    never end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        return await work
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _short(error: Exception) -> str:
    details = getattr(error, "details", None)  # the repr of grpc.aio.AioRpcError is long
    text = details() if callable(details) else str(error)
    return str(text).replace("\n", " ")[:200]


class TaskScope:
    """The tasks of one block. Created by `task_scope`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` concurrently with the block; its failure cancels the block."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # At once: the block may end much later, or never where the process ends itself.
        if not task.cancelled() and (error := task.exception()) is not None:
            # Not as an error: most blocks are entered again, such as those that lost an engine.
            log.info("background task failed", task=str(task.get_coro()), exc_info=error)

    def cancel_all(self) -> None:
        """Cancels all running tasks."""
        for task in list(self._tasks):
            task.cancel()


@asynccontextmanager
async def task_scope() -> AsyncIterator[TaskScope]:
    """A scope whose tasks are cancelled at the end of the block. The block's own exception is raised as it is."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = TaskScope(group)
        try:
            yield tasks
        except Exception as error:
            failure = error
        finally:
            tasks.cancel_all()
    if failure is not None:
        raise failure


@asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs the coroutines concurrently with the block and cancels them when it ends; a failure of one cancels the
    block."""
    async with task_scope() as tasks:
        for coroutine in coroutines:
            tasks.start(coroutine)
        yield
