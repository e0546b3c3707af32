"""P1, P2, P3: the server's CPU cost of delivering an update to one of a thousand sockets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial

from bench.broadcasters import Broadcaster, go_broadcaster, peer, plaudit_broadcaster, python_peer
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.system import plaudit

VIEWERS = 1_000
# Broadcasts a second: a rate that each peer sustains.
RATE, FASTAPI_RATE, SOCKETIO_RATE = 100.0, 90.0, 18.0
SOCKETIO = ("--path", "/socket.io/?EIO=4&transport=websocket", "--greeting", "40", "--greetings", "2")


def _compared(
    setup: Setup, rate: float, peers: Sequence[tuple[str, str, AbstractContextManager[Broadcaster], Goal]]
) -> list[Line]:
    seconds = setup.pick(2, 4, 10)
    lines = []
    with plaudit() as system, plaudit_broadcaster(system, VIEWERS) as broadcaster:
        broadcaster.measure(rate, 1)
        for id_, what, other, goal in peers:
            with other as reference:
                reference.measure(rate, 1)
                ours, theirs = alternating(
                    partial(broadcaster.measure, rate, seconds), partial(reference.measure, rate, seconds)
                )
            last = ours[-1]
            cpu = {
                "plaudit": last.cpu_seconds,
                "its driver": last.driver_seconds,
                reference.server.name: theirs[0].cpu_seconds,
                "that driver": theirs[0].driver_seconds,
            }
            lines.append(
                Line(
                    id_,
                    what,
                    "deliveries/CPU-s",
                    [one.per_cpu_second for one in ours],
                    [one.per_cpu_second for one in theirs],
                    goal,
                    notes=noted(*(one.notes for one in [*ours, *theirs])),
                    cpu_seconds=cpu,
                )
            )
    return lines


def bare(setup: Setup) -> list[Line]:
    """P1: compared with `os.write` of a ready frame to the same number of sockets."""
    what = f"fan-out to {VIEWERS:,} sockets ÷ bare os.write"
    return _compared(setup, RATE, [("P1", what, python_peer("os-write", "bare_write.py", VIEWERS), Goal(0.85, 0.92))])


def go(setup: Setup) -> list[Line]:
    """P2: compared with prepared messages of gorilla/websocket on one core."""
    program = go_broadcaster()
    what = "fan-out ÷ Go gorilla/websocket PreparedMessage, GOMAXPROCS=1"
    return _compared(setup, RATE, [("P2", what, peer("gorilla", [program], VIEWERS), Goal(1.2, 1.4))])


def python(setup: Setup) -> list[Line]:
    """P3: compared with common Python libraries."""
    websockets = python_peer("websockets", "websockets_broadcast.py", VIEWERS)
    fastapi = python_peer("fastapi", "fastapi_broadcast.py", VIEWERS)
    socketio = python_peer("socketio", "socketio_broadcast.py", VIEWERS, *SOCKETIO)
    return [
        *_compared(setup, RATE, [("P3", "fan-out ÷ websockets.broadcast", websockets, Goal(1.6, 1.75))]),
        *_compared(setup, FASTAPI_RATE, [("P3", "fan-out ÷ a FastAPI loop", fastapi, Goal(2.0, 2.3))]),
        *_compared(setup, SOCKETIO_RATE, [("P3", "fan-out ÷ a python-socketio room", socketio, Goal(8, 10))]),
    ]
