"""What a signal does to a process, and what becomes of a stop that hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time

from stack.process.stopping import EXIT_UNFINISHED, FORCE_SECONDS
from tests.running import ROOT

BEGIN = """
    import asyncio, sys, time
    from kit.stopping import Stage, StopDeadline
    from stack.process.logs import configure_logging
    from stack.process.stopping import enforce_deadline, on_first_signal

    configure_logging("info")
    deadline = StopDeadline(0.1)

    async def main():
        stopping = asyncio.Event()
        enforce_deadline(deadline)
        on_first_signal(lambda: (deadline.start(), stopping.set()))
        print("here", flush=True)
        await stopping.wait()
        deadline.left(Stage.LEDGER)
"""


def started(rest: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(BEGIN) + textwrap.dedent(rest)
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, object]]]:
    """The exit code and the lines of the log."""
    _, said = process.communicate(timeout=20)
    return process.returncode, [json.loads(line) for line in said.splitlines()]


def test_a_stop_whose_task_never_ends_ends_itself_and_names_the_task() -> None:
    process = started("""
        await asyncio.Event().wait()
    asyncio.run(main())
    """)
    process.terminate()
    began = time.monotonic()
    code, lines = ended(process)
    assert code == EXIT_UNFINISHED
    assert time.monotonic() - began > 0.1 + FORCE_SECONDS
    assert lines[0]["event"] == "stopping"
    assert lines[-1]["stage"] == "ledger"
    assert str(lines[-1]["tasks"]).startswith("['Task-1 at ")


def test_a_stop_that_blocks_the_event_loop_ends_itself_and_names_the_thread() -> None:
    process = started("""
        time.sleep(60)
    asyncio.run(main())
    """)
    process.terminate()
    code, lines = ended(process)
    assert code == EXIT_UNFINISHED
    assert str(lines[-1]["threads"]).startswith("['MainThread at ")


def test_a_stop_within_its_grace_is_not_interrupted() -> None:
    process = started("asyncio.run(main())")
    process.terminate()
    assert ended(process)[0] == 0


def test_a_process_that_has_stopped_waits_neither_for_threads_nor_for_the_interpreter() -> None:
    process = started("""
    import atexit, threading
    from stack.process.stopping import exit_process

    asyncio.run(main())
    threading.Thread(target=time.sleep, args=(60,)).start()
    atexit.register(time.sleep, 60)
    print("stopped", end="")
    exit_process()
    """)
    process.terminate()
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "stopped")


def test_the_second_signal_ends_the_process_immediately_even_where_the_loop_is_blocked() -> None:
    process = started("""
        print("stops", flush=True)
        time.sleep(60)
    asyncio.run(main())
    """)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stops\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == -signal.SIGINT
    assert time.monotonic() - began < FORCE_SECONDS
