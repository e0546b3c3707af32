"""P8: one durable toggle per unary call, with authentication, validation and limits."""

from __future__ import annotations

from bench import ghz
from bench.driver import bound
from bench.lines.streams import echo_server
from bench.processes import BenchError, Process, metered
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.system import plaudit

IN_FLIGHT = 50
TARGET = "messages/unary-0"


def compared_with_echo(setup: Setup) -> list[Line]:
    """ghz on both servers, with the same call and data."""
    seconds = setup.pick(2, 5, 10)
    notes: list[str] = []
    cpu: dict[str, float] = {}
    rounds = made = 0

    def load(server: Process, address: str, token: str) -> float:
        nonlocal rounds, made
        rounds += 1
        with metered(server) as meter:
            report = ghz.run(address, _options(seconds, token, f"r{rounds}u"))
        notes.extend(noted(bound(report), meter.notes))
        cpu.update(meter.cpu)
        if set(codes := report["statusCodeDistribution"]) != {"OK"}:
            raise BenchError(f"ghz saw {codes}: {report.get('errorDistribution')}")
        made += codes["OK"] if server is not echo else 0
        return float(report["rps"])

    with plaudit() as system, echo_server() as (echo, address):
        mine, theirs = alternating(
            lambda: load(system.server, system.grpc_address, system.service_token),
            lambda: load(echo, address, system.service_token),
        )
        system.wait_until_settled([TARGET], made)
    what = (
        f"durable unary toggle ({IN_FLIGHT} in flight, auth, deadline, validation, metrics) ÷ bare grpc.aio unary echo"
    )
    return [Line("P8", what, "calls/s", mine, theirs, Goal(0.75, 0.85), notes=noted(notes), cpu_seconds=cpu)]


def _options(seconds: float, token: str, prefix: str) -> list[str]:
    return [
        "--protoset=gen/plaudit/plaudit.protoset",
        f"--call={ghz.TOGGLE}",
        f"--concurrency={IN_FLIGHT}",
        f"--duration={seconds}s",
        f'--data={{"target":"{TARGET}","emoji":"👍","op_id":"{{{{newUUID}}}}"}}',
        f'--metadata={{"authorization":"Bearer {token}","plaudit-user":"{prefix}{{{{.RequestNumber}}}}"}}',
    ]
