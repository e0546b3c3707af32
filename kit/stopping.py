"""One deadline for all stages of a stop: each stage gets the remaining time, less the share of later stages."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from types import FrameType


class Stage(StrEnum):
    """The stages of a stop, in their order."""

    CLIENTS = "clients"
    """Clients are disconnected."""
    WORKERS = "workers"
    """Further processes of the same command have ended."""
    REGISTRY = "registry"
    """The node leaves the session registry."""
    RPCS = "rpcs"
    """The gRPC server finishes running rpcs."""
    SOCKETS = "sockets"
    """Sockets and HTTP connections that are still open are closed."""
    LEDGER = "ledger"
    """The ledger finishes accepted operations."""
    FILES = "files"
    """Files and connections to engines are closed."""


# The share of the grace that is reserved for the stages after each stage.
_RESERVED = {
    Stage.CLIENTS: 0.30,
    Stage.WORKERS: 0.25,
    Stage.REGISTRY: 0.20,
    Stage.RPCS: 0.15,
    Stage.SOCKETS: 0.10,
    Stage.LEDGER: 0.05,
    Stage.FILES: 0.0,
}
# A longer grace is for the clients: later stages need no larger share than of so many seconds.
_SHARED_SECONDS = 10.0
_ROOT = f"{Path(__file__).resolve().parent.parent}/"


class StopDeadline:
    """When a process that stops must have ended. `grace` in seconds, on a clock that only grows."""

    def __init__(self, grace: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.grace = grace
        self.on_start: Callable[[], None] = lambda: None
        """Called once, when the stop begins."""
        self.stage = Stage.CLIENTS
        """The stage of the last call of `left`."""
        self._monotonic = monotonic
        self._began: float | None = None

    def start(self) -> None:
        """The stop begins now. Further calls change nothing."""
        if self._began is None:
            self._began = self._monotonic()
            self.on_start()

    def elapsed(self) -> float:
        """Seconds since the stop began; 0 before it."""
        return 0.0 if self._began is None else self._monotonic() - self._began

    def seconds_until(self, stage: Stage) -> float:
        """The seconds after the beginning of the stop at which a stage must have ended."""
        return self.grace - _RESERVED[stage] * min(self.grace, _SHARED_SECONDS)

    def left(self, stage: Stage) -> float:
        """How many seconds this stage may take, which begins now; starts the stop if it has not begun."""
        self.start()
        self.stage = stage
        return max(0.0, self.seconds_until(stage) - self.elapsed())


def unfinished_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """The tasks of a loop that have not ended, each with the line of our code, or else of any code, where it waits.

    May be called from another thread, while the loop's own thread is blocked.
    """
    return sorted(f"{task.get_name()} at {_task_place(task)}" for task in asyncio.all_tasks(loop) if not task.done())


def unfinished_threads() -> list[str]:
    """The threads that the interpreter waits for at its end, each with the line of our code where it is."""
    frames = sys._current_frames()
    return sorted(
        f"{thread.name} at {_place(_callers(frames.get(thread.ident or 0)))}"
        for thread in threading.enumerate()
        if not thread.daemon
    )


def _task_place(task: asyncio.Task[object]) -> str:
    frames: list[FrameType] = []
    awaited: object = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        frames.append(frame)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return _place(reversed(frames))


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frames: Iterable[FrameType]) -> str:
    """The innermost line of our code, or else of any code; the innermost frame is the first."""
    places = [(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) for frame in frames]
    ours = [one for one in places if one[0].startswith(_ROOT) and "site-packages" not in one[0][len(_ROOT) :]]
    for file, line, name in [*ours, *places][:1]:
        return f"{'/'.join(file.split('/')[-2:])}:{line} {name}"
    return "?"
