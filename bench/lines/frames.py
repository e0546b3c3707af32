"""P6, P10: toggles of clients, one per WebSocket frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.driver import bound, call, connected
from bench.processes import Meter, Process, metered
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.system import System, plaudit

# Many clients with one toggle in flight each, and few that pipeline.
SHAPES = ((1_000, 1), (50, 20))


class Frames:
    """Clients of one system."""

    def __init__(self, system: System, driver: Process, target: str) -> None:
        self._system = system
        self._driver = driver
        self._target = target
        self.meter = Meter()
        self.notes: list[str] = []
        self.per_cpu_second: list[float] = []
        """Toggles per CPU-second of the server, of each load."""

    def toggle(self, seconds: float, in_flight: int, rate: float = 0.0, check: bool = True) -> dict[str, Any]:
        """One load; its acks, its counts and the records must agree."""
        with metered(self._system.server, self._driver) as meter:
            report = call(self._driver, seconds, rate, in_flight, alone=check)
        if check:
            self._system.wait_until_settled([self._target], report["standing"])
        self.meter = meter
        self.per_cpu_second.append(report["acks"] / meter.cpu[self._system.server.name])
        self.notes = noted(self.notes, bound(report), meter.notes)
        return report


@contextmanager
def clients(system: System, connections: int, name: str) -> Iterator[Frames]:
    """Connects clients, each with its own user, all on one target."""
    target = f"messages/frames-{connections}-"
    options = ["--target", target]
    tokens = system.user_tokens(connections)
    with connected(system.http_port, connections, name=name, tokens=tokens, options=options) as driver:
        yield Frames(system, driver, f"{target}0")


def compared_with_null(setup: Setup) -> list[Line]:
    """P6: compared with the same frames answered by a service that does nothing."""
    seconds = setup.pick(2, 5, 10)
    lines = []
    with ExitStack() as stack:
        ours = stack.enter_context(plaudit())
        null = stack.enter_context(plaudit("null", module="bench.null_reactions"))
        for connections, in_flight in SHAPES:
            with (
                clients(ours, connections, "clients") as real,
                clients(null, connections, "null-clients") as nothing,
            ):
                nothing.toggle(0.5, in_flight, check=False)
                real.toggle(0.5, in_flight)
                rates, floor = alternating(
                    lambda: float(real.toggle(seconds, in_flight)["achieved_rate"]),  # noqa: B023
                    lambda: float(nothing.toggle(seconds, in_flight, check=False)["achieved_rate"]),  # noqa: B023
                )
            lines.append(
                Line(
                    "P6",
                    f"durable acked toggles/s from frames, {connections:,} clients with {in_flight} in flight, "
                    "÷ a service that does nothing",
                    "toggles/s",
                    rates,
                    floor,
                    Goal(0.35, 0.6),
                    notes=noted(real.notes, nothing.notes),
                    cpu_seconds={**real.meter.cpu, **nothing.meter.cpu},
                )
            )
            lines.append(
                Line(
                    "P6",
                    f"the same, {connections:,} × {in_flight}, per CPU-second of the server",
                    "toggles/CPU-s",
                    real.per_cpu_second[-len(rates) :],
                    nothing.per_cpu_second[-len(floor) :],
                )
            )
    return lines


def low_load(setup: Setup) -> list[Line]:
    """P10: the latency of a toggle at low load."""
    seconds = setup.pick(2, 5, 20)
    with plaudit() as system, clients(system, 10, "clients") as few:
        few.toggle(1, 1, rate=100)
        report = few.toggle(seconds, 4, rate=100)
    waits = report["latency_ms"]
    return [
        Line(
            "P10",
            "frame to ack, p50 at 100 toggles/s (open loop, from due time)",
            "ms",
            [waits["p50"]],
            goal=Goal(1.5, 1, at_most=True),
            notes=noted([f"p99 {waits['p99']}, p99.9 {waits['p999']}, max {waits['max']} ms"], few.notes),
            cpu_seconds=few.meter.cpu,
        )
    ]
