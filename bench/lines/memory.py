"""P9, M6: the memory of an idle authenticated connection."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.driver import connected
from bench.processes import Process, resident_bytes
from bench.report import Goal, Line
from bench.setup import Setup
from bench.system import plaudit

WARM = 200
# Gateway processes and drivers: a process may have some 20,000 descriptors open.
_PROCESSES = 4


def idle(setup: Setup) -> list[Line]:
    """Growth of the resident memory of the whole process per connection, each of its own user."""
    connections = int(setup.pick(2_000, 5_000, 10_000))
    with plaudit() as system:
        tokens = system.user_tokens(WARM + connections)
        sources = ["--sources", "8"]
        with connected(system.http_port, WARM, name="warm", tokens=tokens[:WARM], options=sources):
            before = _settled(system.server)
            with connected(system.http_port, connections, name="idle", tokens=tokens[WARM:], options=sources):
                after = _settled(system.server)
    grown = (after - before) / connections / 1024
    return [
        Line(
            "P9",
            f"memory per idle authenticated connection, {connections:,} of them",
            "KiB",
            [grown],
            goal=Goal(10, 6, at_most=True),
            notes=[f"{before >> 20} MiB before, {after >> 20} MiB after"],
        )
    ]


def many_idle(setup: Setup) -> list[Line]:
    """M6: the same with many more of them, over several gateway processes, each with what it shares among them."""
    connections = int(setup.pick(10_000, 50_000, 50_000))
    share = connections // _PROCESSES
    with plaudit(arguments=["--workers", str(_PROCESSES)]) as system, ExitStack() as stack:
        tokens = system.user_tokens(WARM + connections)
        options = ["--sources", "100"]
        stack.enter_context(connected(system.http_port, WARM, name="warm", tokens=tokens[:WARM], options=options))
        before = _settled_in_all(system.server)
        for number in range(_PROCESSES):
            own = tokens[WARM + number * share :][:share]
            stack.enter_context(
                connected(system.http_port, share, name=f"idle-{number}", tokens=own, options=options, timeout=300)
            )
        after = _settled_in_all(system.server)
    return [
        Line(
            "M6",
            f"memory per idle authenticated connection, {connections:,} of them in {_PROCESSES} gateway processes",
            "KiB",
            [(after - before) / connections / 1024],
            goal=Goal(10, 6, at_most=True),
            notes=[f"{before >> 20} MiB before, {after >> 20} MiB after"],
        )
    ]


def _settled(server: Process) -> int:
    time.sleep(2.0)  # buffers of the handshakes are freed later
    return server.resident_bytes()


def _settled_in_all(server: Process) -> int:
    """Resident memory of a process and its children."""
    time.sleep(2.0)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return sum(resident_bytes(pid) for pid in (server.pid, *map(int, children)))
