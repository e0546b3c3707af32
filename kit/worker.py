"""One thread that does blocking work for an event loop, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Worker:
    """See the module. An executor does the same with two futures, a condition and a lock for each job: 0.1 ms more."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        self._is_closed = False

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What `work` returns or raises; even when cancelled, ends no sooner than the work.

        Raises RuntimeError once the worker is closed: no thread would do the work, and the caller would never get an
        answer."""
        if self._is_closed:
            raise RuntimeError(f"{self._thread.name} is closed")
        working = self._add(work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            raise

    async def close(self, last: Callable[[], None] = lambda: None) -> None:
        """Does `last` after all other work, then ends the thread; raises what `last` raises. Later work is refused.

        A cancelled call returns at once, and the thread continues.
        """
        self._is_closed = True
        working = self._add(last)
        self._jobs.put(None)
        await asyncio.shield(working)

    def _add(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        loop = asyncio.get_running_loop()
        working: asyncio.Future[_Result] = loop.create_future()
        self._jobs.put((work, working, loop))
        return working

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, working, loop = job
            done: Callable[[Any], None] = working.set_result
            try:
                result = work()
            except BaseException as error:
                done, result = working.set_exception, error
            with suppress(RuntimeError):  # the loop is closed: no caller waits any more
                loop.call_soon_threadsafe(done, result)
            del job, work, working, loop, done, result
