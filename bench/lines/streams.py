"""P5, P7: durable toggles by batches on one stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.broadcasters import PEERS
from bench.driver import bound
from bench.engines import engine_settings
from bench.processes import DRIVER_CPU, Meter, Process, metered, python, running
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.streamload import checked, load_process
from bench.system import System, plaudit

ECHO_IN_FLIGHT = 50
EXACT_WITHIN = 0.2


class Streams:
    """Loads on one system, each on its own targets."""

    def __init__(self, system: System, target: str = "messages/hot") -> None:
        self._system = system
        self._target = target
        self._rounds = 0
        self.meter = Meter()
        self.notes: list[str] = []
        self.settle_seconds = 0.0  # seconds until the counts were exact, in the last round

    def load(self, seconds: float, **options: object) -> dict[str, Any]:
        """One load; its acks, its counts and the records must agree."""
        self._rounds += 1
        name = f"{self._target}-{self._rounds}-"
        with load_process(self._system, target=name, seconds=seconds, **options) as load:
            with metered(self._system.server, load) as meter:
                report = checked(load, seconds)
            targets = [f"{name}{index}" for index in range(int(str(options.get("targets", 1))))]
            self.settle_seconds = self._system.wait_until_settled(targets, report["standing"])
        self.meter = meter
        self.notes = noted(self.notes, bound(report), meter.notes)
        return report


@contextmanager
def echo_server() -> Iterator[tuple[Process, str]]:
    """Runs the bare unary echo; yields process and address."""
    with running("echo", python(str(PEERS / "unary_echo.py"))) as server:
        yield server, f"127.0.0.1:{server.read_answer()['port']}"


def echo_rate(server: Process, address: str, seconds: float) -> tuple[float, Meter, list[str]]:
    """Unary echoes a second from a grpc.aio client."""
    arguments = ["-m", "bench.echoload", address, str(ECHO_IN_FLIGHT), str(seconds)]
    with running("echoload", python(*arguments), cpu=DRIVER_CPU) as client, metered(server, client) as meter:
        report = client.read_answer(seconds + 30)
    return report["rate"], meter, noted(bound(report), meter.notes)


def compared_with_echo(setup: Setup) -> list[Line]:
    """P5: compared with bare unary echoes."""
    seconds = setup.pick(2, 5, 10)
    with plaudit() as system, echo_server() as (echo, address):
        streams = Streams(system)
        streams.load(1)
        notes: list[str] = []
        echo_cpu: dict[str, float] = {}

        def reference() -> float:
            rate, meter, found = echo_rate(echo, address, seconds)
            notes.extend(found)
            echo_cpu.update(meter.cpu)
            return rate

        ours, theirs = alternating(lambda: float(streams.load(seconds)["rate"]), reference)
        cpu = {**streams.meter.cpu, **echo_cpu}
        many = Streams(system, "messages/many")
        spread = [float(many.load(seconds, targets=100)["rate"])]
    return [
        Line(
            "P5",
            "durable acked toggles/s by stream (batches of 500, one hot target) ÷ bare grpc.aio unary echo",
            "toggles/s",
            ours,
            theirs,
            Goal(20, 30),
            notes=noted(streams.notes, notes),
            cpu_seconds=cpu,
        ),
        Line(
            "P5", "the same over 100 targets", "toggles/s", spread, theirs, notes=many.notes, cpu_seconds=many.meter.cpu
        ),
    ]


def hot_target(setup: Setup) -> list[Line]:
    """P7: one target, embedded and on real engines."""
    seconds = setup.pick(4, 10, 30)
    with plaudit() as system:
        lines = [_hot("embedded", seconds, system, Goal(120_000, 150_000))]
    with engine_settings("redis", "cassandra") as settings, plaudit(settings=settings) as system:
        lines.append(_hot("on Redis and Cassandra", seconds, system, Goal(30_000, 45_000)))
    with engine_settings("redis", "cassandra", "kafka") as settings, plaudit(settings=settings) as system:
        lines.append(_hot("on Redis, Cassandra and Kafka", seconds, system, Goal(30_000, 45_000)))
    return lines


def _hot(where: str, seconds: float, system: System, goal: Goal | None = None) -> Line:
    streams = Streams(system)
    streams.load(min(seconds, 3.0))  # JVM servers are slow until they are warm
    report = streams.load(seconds, users=100_000)
    late = "" if streams.settle_seconds <= EXACT_WITHIN else "LATE: "
    exact = f"{late}counts exact {streams.settle_seconds * 1e3:.0f} ms after the last ack"
    return Line(
        "P7",
        f"toggles/s on ONE target by stream, held {seconds:.0f} s, {where}",
        "toggles/s",
        [report["rate"]],
        goal=goal,
        notes=noted([exact, _waits(report)], streams.notes),
        cpu_seconds=streams.meter.cpu,
    )


def _waits(report: dict[str, Any]) -> str:
    waits = report["batch_ms"]
    return f"a batch of 500 waits p50 {waits['p50']:.1f}, p99 {waits['p99']:.1f} ms"
