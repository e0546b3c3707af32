"""Processes that are kept running: started until they serve, started again when they die, stopped in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

Say = Callable[[str], None]
_FLOOR = 0.2
_CEILING = 5.0
# Who lived so long did not die of its start.
_SETTLED_SECONDS = 10.0


class CannotStart(Exception):
    """A process cannot start; the message says why and, where that helps, what to do."""


async def prints_a_line(process: Process) -> None:
    """Serves once it has said so on its standard output."""
    if not await process.line():
        await process.ended()


@dataclass(frozen=True)
class Program:
    """What is run. `ready` returns when it serves; `log` takes what it says, None: our standard error."""

    name: str
    command: Sequence[str]
    log: Path | None
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[Process], Awaitable[None]] = prints_a_line
    start_seconds: float = 120.0
    stop_seconds: float = 15.0


class Process:
    """One life of a program."""

    def __init__(self, program: Program) -> None:
        # It ends with this process, however that ends, where the system can see to it.
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with _opened(program.log) as log:
            self._child = subprocess.Popen(
                [*tied, *program.command],
                env=os.environ | dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program.ready is prints_a_line else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor, which stops them in its order
            )
        self._handle = os.pidfd_open(self._child.pid)
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._handle, self._gone.set)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    async def line(self) -> bytes:
        """A line of its standard output; empty where it ended instead."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._child.stdout
        )
        try:
            return await reader.readline()
        finally:
            transport.close()

    async def ended(self) -> int:
        """Waits for its end; the exit code, negative for a signal."""
        await self._gone.wait()
        return self._child.wait()

    async def stop(self, seconds: float) -> None:
        """SIGTERM, and SIGKILL where it takes longer than this; all is freed afterwards."""
        try:
            if self._child.poll() is None:
                self._child.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._gone.wait()
        finally:
            self._free()

    def _free(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._gone.set()
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1
        if self._child.stdout is not None:
            self._child.stdout.close()


class Supervised:
    """A program that is kept running. Made by `supervised`."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.pid = 0
        """Of its present life; 0 between two."""
        self._say = say
        self._serves = asyncio.Event()

    async def serves(self) -> None:
        """Waits until it serves."""
        await self._serves.wait()

    async def keep(self) -> None:
        """Runs it, again and again; raises CannotStart where it never served."""
        failures = 0
        served_once = False
        while True:
            began = time.monotonic()
            process = Process(self.program)
            self.pid = process.pid
            try:
                if await self._life(process):
                    served_once = True
                code = await process.ended()
            finally:
                self.pid = 0
                self._serves.clear()
                await process.stop(self.program.stop_seconds)
            if not served_once:
                raise CannotStart(f"{self.program.name} ended with {code}: {last_words(self.program.log)}")
            failures = 0 if time.monotonic() - began > _SETTLED_SECONDS else failures + 1
            pause = min(_CEILING, _FLOOR * 2**failures)
            self._say(f"{self.program.name} ended with {code}; it starts again in {pause:.1f} s")
            await asyncio.sleep(pause)

    async def _life(self, process: Process) -> bool:
        """Whether it came to serve."""
        ready = asyncio.ensure_future(self.program.ready(process))
        ended = asyncio.create_task(process.ended())
        try:
            done, _ = await asyncio.wait(
                {ready, ended}, timeout=self.program.start_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._say(f"{self.program.name} does not serve after {self.program.start_seconds:.0f} s")
                await process.stop(0)
                return False
            if ended in done:
                return False
            ready.result()
            self._serves.set()
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
async def supervised(programs: Sequence[Program], say: Say) -> AsyncIterator[list[Supervised]]:
    """Keeps programs running side by side for the block, which begins when all serve; raises CannotStart."""
    kept = [Supervised(program, say) for program in programs]
    tasks = [asyncio.create_task(one.keep()) for one in kept]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_stopped, tasks)
        serving = [asyncio.create_task(one.serves()) for one in kept]
        stack.push_async_callback(_stopped, serving)
        while not all(one.done() for one in serving):
            await asyncio.wait(
                [*tasks, *[one for one in serving if not one.done()]], return_when=asyncio.FIRST_COMPLETED
            )
            for task in tasks:
                if task.done():
                    task.result()
        yield kept


async def _stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def last_words(log: Path | None) -> str:
    """The last line of a log."""
    if log is None:
        return "what it said stands above"
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return (lines[-1] if lines else "it said nothing") + f" (log: {log})"
