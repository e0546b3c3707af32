"""Stop by signals: the first begins the stop, the second ends the process at once; a stop has a deadline."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import NoReturn, TypeVar

import structlog

from kit.stopping import StopDeadline, unfinished_tasks, unfinished_threads

T = TypeVar("T")
log = structlog.get_logger()
FORCE_SECONDS = 1.0
"""Seconds after its grace at which a process that has not ended exits."""
MARGIN_SECONDS = 5.0
"""Seconds after its grace at which the parent process kills a process that has not ended."""
EXIT_UNFINISHED = 3
"""The exit code of a process whose stop did not end in time."""
_TASKS_SHOWN = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_first_signal(stop: Callable[[], None]) -> None:
    """Calls `stop` in the running loop at the first SIGINT or SIGTERM; the second ends the process at once.

    Processes that `stack.process.supervisor` started end with it.
    """
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        log.info("stopping", signal=number.name)
        stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number)


async def run_until_signal(
    running: AbstractAsyncContextManager[T], on_ready: Callable[[T], None], on_stop: Callable[[], None] = lambda: None
) -> None:
    """Runs a block from its start until the first SIGINT or SIGTERM, which also cancels a start.

    Calls `on_ready` with the value of the block once it has started, and `on_stop` at the signal.
    """
    stopping = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    is_ready = False

    def begin() -> None:
        on_stop()
        stopping.set()
        if not is_ready:
            task.cancel()

    on_first_signal(begin)
    try:
        async with running as value:
            is_ready = True
            on_ready(value)
            await stopping.wait()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


def enforce_deadline(deadline: StopDeadline) -> None:
    """Exits this process `FORCE_SECONDS` after the grace of a stop, also if the event loop is blocked.

    Nothing is lost: answered changes are committed. It is never cancelled, because the close of the loop may hang, too.
    """
    loop = asyncio.get_running_loop()

    def begin() -> None:
        threading.Thread(target=_end, args=(deadline, loop), name="stop-deadline", daemon=True).start()

    deadline.on_start = begin


def exit_process() -> NoReturn:
    """Ends this process with exit code 0, without the end of the interpreter.

    The interpreter would free every object, one by one: with the state of many targets that takes longer than the stop
    itself. It would also wait for threads. All files and connections must be closed; standard output is flushed.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader is gone
            stream.flush()
    os._exit(0)


def _end(deadline: StopDeadline, loop: asyncio.AbstractEventLoop) -> None:
    time.sleep(deadline.grace + FORCE_SECONDS)
    try:
        tasks = unfinished_tasks(loop)
        log.error(
            "the stop has not ended in time, the process ends itself",
            stage=deadline.stage.value,
            seconds=round(deadline.elapsed(), 2),
            tasks=tasks[:_TASKS_SHOWN],
            more_tasks=max(0, len(tasks) - _TASKS_SHOWN),
            threads=unfinished_threads(),
        )
    finally:
        os._exit(EXIT_UNFINISHED)
