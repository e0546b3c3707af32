"""Supervised processes: readiness, restart, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from stack.process.supervisor import CannotStart, Program, supervised


def program(folder: Path, code: str, *, name: str = "node", **more: Any) -> Program:
    return Program(name, [sys.executable, "-c", code], folder / f"{name}.log", {"NAME": name}, **more)


SERVES = "import sys; print('here', flush=True); sys.stdin.read(); import signal; signal.pause()"


async def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_block_begins_when_all_processes_serve_and_ends_when_all_have_ended(tmp_path: Path) -> None:
    reported: list[str] = []
    async with supervised(
        [program(tmp_path, SERVES, name=name) for name in ("one", "two")], reported.append
    ) as processes:
        pids = [one.pid for one in processes]
        assert all([await alive(pid) for pid in pids])
    assert not any([await alive(pid) for pid in pids])
    assert reported == []


async def test_a_program_that_never_serves_fails_the_block_with_its_last_log_line(tmp_path: Path) -> None:
    code = "import sys; sys.exit('the port is taken')"
    with pytest.raises(CannotStart, match=r"node ended with 1: the port is taken \(log: .*node\.log\)"):
        async with supervised([program(tmp_path, SERVES, name="well"), program(tmp_path, code)], print):
            raise AssertionError("it does not serve")


async def test_a_process_that_ends_is_restarted(tmp_path: Path) -> None:
    reported: list[str] = []
    async with supervised([program(tmp_path, SERVES)], reported.append) as (one,), asyncio.timeout(20):
        for _ in range(2):
            old = one.pid
            os.kill(old, signal.SIGKILL)
            while one.pid in (0, old):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await one.wait_until_serving()
    assert reported == [f"node ended with -9; it starts again in {pause} s" for pause in ("0.4", "0.8")]


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ignores = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES
    async with supervised([program(tmp_path, ignores, stop_seconds=0.2)], print) as (one,):
        pid = one.pid
    assert not await alive(pid)


async def test_a_process_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    reported: list[str] = []
    silent = "import signal; signal.pause()"
    with pytest.raises(CannotStart, match="node ended with"):
        async with supervised([program(tmp_path, silent, start_seconds=0.3)], reported.append):
            raise AssertionError("it does not serve")
    assert reported == ["node does not serve after 0 s"]
