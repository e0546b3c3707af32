"""What signals do: the first begins the stop, the second ends the process at once; a stop that hangs is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable

import structlog

from kit.stopping import StopDeadline, unfinished_tasks, unfinished_threads

log = structlog.get_logger()
FORCE_SECONDS = 1.0
"""A process that has not ended so long after its grace ends itself."""
MARGIN_SECONDS = 5.0
"""A process that has not ended so long after its grace is killed by the one that started it."""
EXIT_UNFINISHED = 3
"""The exit code of a process that had to end itself."""
_TASKS_SHOWN = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_first_signal(stop: Callable[[], None]) -> None:
    """Calls `stop` in the running loop at the first SIGINT or SIGTERM; the second ends the process at once.

    Processes that it has started by `stack.process.supervisor` end with it.
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


def end_in_time(deadline: StopDeadline) -> None:
    """Ends this process `FORCE_SECONDS` after the grace of a stop, whatever it does then.

    Nothing is lost by that: what was answered is committed. It is never called off, because the interpreter may hang at
    its own end, too.
    """
    loop = asyncio.get_running_loop()

    def begin() -> None:
        threading.Thread(target=_end, args=(deadline, loop), name="stop-deadline", daemon=True).start()

    deadline.on_start = begin


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
