"""P9: the memory of an idle authenticated connection."""

from __future__ import annotations

import time

from bench.driver import connected
from bench.processes import Process
from bench.report import Goal, Line
from bench.setup import Setup
from bench.system import plaudit

WARM = 200


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


def _settled(server: Process) -> int:
    time.sleep(2.0)  # buffers of the handshakes are freed later
    return server.resident_bytes()
