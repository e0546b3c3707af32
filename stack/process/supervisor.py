"""Supervises processes: starts them, waits until they serve, restarts them after a crash, stops them in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

Report = Callable[[str], None]
_MIN_RESTART_DELAY = 0.2
_MAX_RESTART_DELAY = 5.0
UP_COMMAND = (sys.executable, "-P", "-m", "stack.cli", "up", "--json")
"""Starts a process of the system. `-P`: no code is imported from the working directory, which may be any folder."""
# A process that lived this long did not fail because of its start.
_STABLE_SECONDS = 10.0


class CannotStart(Exception):
    """A process cannot start; the message has the reason and what to do."""


async def prints_ready_line(process: Process) -> None:
    """The default `ready`: the process serves when it has printed a line to standard output."""
    if not await process.read_line():
        await process.wait()


@dataclass(frozen=True)
class Program:
    """A command to supervise. `ready` returns when it serves; `log` is the file of its output, None: our stderr."""

    name: str
    command: Sequence[str]
    log: Path | None
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[Process], Awaitable[None]] = prints_ready_line
    start_seconds: float = 120.0
    stop_seconds: float = 15.0


class Process:
    """One run of a program."""

    def __init__(self, program: Program) -> None:
        # The child is killed when this process ends, if setpriv is installed.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with _opened(program.log) as log:
            self._child = subprocess.Popen(
                [*prefix, *program.command],
                env=os.environ | dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program.ready is prints_ready_line else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops them in order
            )
        self._pidfd = os.pidfd_open(self._child.pid)
        self._exited = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pidfd, self._exited.set)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    async def read_line(self) -> bytes:
        """Reads a line of its standard output; empty if the process ended."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._child.stdout
        )
        try:
            return await reader.readline()
        finally:
            transport.close()

    async def wait(self) -> int:
        """Waits until it ends; returns the exit code, negative for a signal."""
        await self._exited.wait()
        return self._child.wait()

    async def stop(self, seconds: float) -> None:
        """Sends SIGTERM, then SIGKILL after `seconds`; releases its resources."""
        try:
            if self._child.poll() is None:
                self._child.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._exited.wait()
        finally:
            self._release()

    def _release(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._exited.set()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._child.stdout is not None:
            self._child.stdout.close()


class SupervisedProcess:
    """A program that is restarted when it ends. Made by `supervised`."""

    def __init__(self, program: Program, report: Report) -> None:
        self.program = program
        self.pid = 0
        """The process id of the current run; 0 between runs."""
        self._report = report
        self._serving = asyncio.Event()

    async def wait_until_serving(self) -> None:
        """Waits until it serves."""
        await self._serving.wait()

    async def run(self) -> None:
        """Runs it, and restarts it after each end; raises CannotStart if the first run never serves."""
        failures = 0
        has_served = False
        while True:
            start = time.monotonic()
            process = Process(self.program)
            self.pid = process.pid
            try:
                if await self._becomes_ready(process):
                    has_served = True
                code = await process.wait()
            finally:
                self.pid = 0
                self._serving.clear()
                await process.stop(self.program.stop_seconds)
            if not has_served:
                raise CannotStart(f"{self.program.name} ended with {code}: {last_log_line(self.program.log)}")
            failures = 0 if time.monotonic() - start > _STABLE_SECONDS else failures + 1
            delay = min(_MAX_RESTART_DELAY, _MIN_RESTART_DELAY * 2**failures)
            self._report(f"{self.program.name} ended with {code}; it starts again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _becomes_ready(self, process: Process) -> bool:
        """Waits until the process serves or ends; returns whether it serves."""
        ready = asyncio.ensure_future(self.program.ready(process))
        ended = asyncio.create_task(process.wait())
        try:
            done, _ = await asyncio.wait(
                {ready, ended}, timeout=self.program.start_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._report(f"{self.program.name} does not serve after {self.program.start_seconds:.0f} s")
                await process.stop(0)
                return False
            if ended in done:
                return False
            ready.result()
            self._serving.set()
            return True
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)


def _opened(path: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    if path is None:
        return nullcontext()
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab")


@asynccontextmanager
async def supervised(programs: Sequence[Program], report: Report) -> AsyncIterator[list[SupervisedProcess]]:
    """Runs programs for the block, which begins when all of them serve; raises CannotStart."""
    processes = [SupervisedProcess(program, report) for program in programs]
    tasks = [asyncio.create_task(one.run()) for one in processes]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_cancel, tasks)
        serving = [asyncio.create_task(one.wait_until_serving()) for one in processes]
        stack.push_async_callback(_cancel, serving)
        while not all(one.done() for one in serving):
            await asyncio.wait(
                [*tasks, *[one for one in serving if not one.done()]], return_when=asyncio.FIRST_COMPLETED
            )
            for task in tasks:
                if task.done():
                    task.result()
        yield processes


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def last_log_line(log: Path | None) -> str:
    """The last line of a log."""
    if log is None:
        return "its output is above"
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return (lines[-1] if lines else "it printed nothing") + f" (log: {log})"
