"""P12 to P15: unary calls through Envoy and TLS to two nodes of each service on engines; CPU of an idle mesh.

Everything shares the machine's cores, the engines and the load driver too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from bench import ghz
from bench.lines.streams import echo_server
from bench.processes import BenchError, python, running
from bench.report import Goal, Line
from bench.setup import Setup
from bench.system import SETTINGS, Checks
from engines.server import free_port
from kit.auth.keys import open_keys
from kit.auth.tokens import Minter

_ENGINES = ("CassandraDaemon", "kafka.Kafka", "redis-server", "envoy")
_START_SECONDS = 180.0


@dataclass
class Mesh:
    """A running mesh. `address` serves gRPC with TLS by the authority in the file `ca`."""

    address: str
    ca: str
    token: str
    checks: Checks
    pid: int
    minter: Minter

    def user_token(self, user: str) -> str:
        """A token of a user."""
        return self.minter.mint_user(user)

    def toggles(self, seconds: float, target: str, callers: int, targets: int = 1) -> dict[str, Any]:
        """ghz without any route key, each call by another user; raises BenchError unless all are OK and counted."""
        name = f"{target}-{{{{randomInt 0 {targets}}}}}" if targets > 1 else f"{target}-0"
        metadata = {"authorization": f"Bearer {self.token}", "plaudit-user": f"{target[9:]}{{{{.RequestNumber}}}}"}
        report = ghz.run(
            self.address,
            [
                f"--cacert={self.ca}",
                "--protoset=gen/plaudit/plaudit.protoset",
                f"--call={ghz.TOGGLE}",
                f"--concurrency={callers}",
                f"--duration={seconds}s",
                "--data=" + json.dumps({"target": name, "emoji": "👍", "op_id": "{{newUUID}}"}, ensure_ascii=False),
                "--metadata=" + json.dumps(metadata),
            ],
            pinned=False,
        )
        codes = report["statusCodeDistribution"]
        if set(codes) != {"OK"}:
            raise BenchError(f"ghz saw {codes}: {report.get('errorDistribution')}")
        self.checks.wait_until_settled([f"{target}-{number}" for number in range(targets)], codes["OK"])
        return report


@contextmanager
def mesh(**settings: str) -> Iterator[Mesh]:
    """Runs two nodes of every service on its own engines, in an empty folder."""
    with TemporaryDirectory(prefix="plaudit-bench-") as folder:
        https, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        command = ["-m", "stack.cli", "mesh", "--json", "--https", https, "--http", http, "--data", folder]
        with running("mesh", python(*command), cpu=None, env={**SETTINGS, **settings}) as process:
            facts = process.read_answer(_START_SECONDS)
            minter = open_keys(Path(folder) / "keys").minter()
            token = minter.mint_service("bench", ("act-as", "tenants", "audit"))
            nodes = facts["nodes"]
            with (
                grpc.insecure_channel(nodes["reaction_svc-1"]) as reactions,
                grpc.insecure_channel(nodes["counter_svc-1"]) as counters,
            ):
                yield Mesh(https, facts["ca"], token, Checks(reactions, token, counters), process.pid, minter)


def through_envoy(setup: Setup) -> list[Line]:
    """P12, P13, P15: one caller, many callers, and no callers."""
    seconds = setup.pick(3, 8, 20)
    with mesh() as running_mesh:
        _warm_up(running_mesh, setup)
        alone = running_mesh.toggles(seconds, "messages/alone", 1)
        one = running_mesh.toggles(seconds, "messages/one", 20)
        many = running_mesh.toggles(seconds, "messages/many", 50, 200)
        echo = _bare_echo(setup)
        time.sleep(2.0)
        idle = _share_of_a_core(running_mesh.pid, setup.pick(5, 10, 20))
    p50, p99 = _percentile(alone, 50), _percentile(alone, 99)
    return [
        Line("P12", "one caller, unary toggle through Envoy and TLS, p50", "ms", [p50], goal=Goal(12, 8, at_most=True)),
        Line("P12", "the same, p99", "ms", [p99], goal=Goal(40, 25, at_most=True)),
        Line("P13", "20 callers on one target, no route key", "calls/s", [one["rps"]], goal=Goal(600, 1_200),
             notes=[_waits(one), echo]),
        Line("P13", "50 callers on 200 targets, no route key", "calls/s", [many["rps"]], goal=Goal(500, 1_200),
             notes=[_waits(many), echo]),
        Line("P15", "CPU of all processes of the idle mesh, without engines and Envoy", "% of a core", [idle],
             goal=Goal(15, 5, at_most=True)),
    ]  # fmt: skip


def contended(setup: Setup) -> list[Line]:
    """P14: two nodes that write the same target, because nothing is forwarded."""
    with mesh(PLAUDIT_REACTION__FORWARD="false") as running_mesh:
        _warm_up(running_mesh, setup)
        report = running_mesh.toggles(setup.pick(3, 8, 20), "messages/both", 20)
    p99 = _percentile(report, 99)
    return [
        Line("P14", "two nodes write one target, 20 callers, forwarding off", "calls/s", [report["rps"]],
             goal=Goal(300, 600), notes=[_waits(report)]),
        Line("P14", "the same, p99", "ms", [p99], goal=Goal(500, 250, at_most=True)),
    ]  # fmt: skip


def _warm_up(running_mesh: Mesh, setup: Setup) -> None:
    """Engines that have just started are slow: loads them until their rate stops growing."""
    best, level = 0.0, 0
    for _ in range(int(setup.pick(2, 10, 15))):
        name = f"messages/warm{time.monotonic_ns()}"
        rate = running_mesh.toggles(setup.pick(3, 10, 20), name, 50, 50)["rps"]
        level = level + 1 if rate < 1.05 * best else 0
        if level == 3:
            return
        best = max(best, rate)


def _bare_echo(setup: Setup) -> str:
    """The current speed of the machine: calls to a bare grpc.aio server, while the mesh is idle."""
    with echo_server() as (_, address):
        options = ["--protoset=gen/plaudit/plaudit.protoset", f"--call={ghz.TOGGLE}", "--concurrency=50", "--data={}"]
        report = ghz.run(address, [*options, f"--duration={setup.pick(2, 5, 10)}s"])
    return f"a bare unary echo just then: {report['rps']:,.0f} calls/s"


def _percentile(report: dict[str, Any], percent: int) -> float:
    """The percentile in milliseconds."""
    return float(next(row["latency"] for row in report["latencyDistribution"] if row["percentage"] == percent)) / 1e6


def _waits(report: dict[str, Any]) -> str:
    return f"a call waits p50 {_percentile(report, 50):.0f}, p99 {_percentile(report, 99):.0f} ms"


def _share_of_a_core(root: int, seconds: float) -> float:
    before = _own_seconds(root)
    time.sleep(seconds)
    return 100 * (_own_seconds(root) - before) / seconds


def _own_seconds(root: int) -> float:
    """CPU seconds of a process and its descendants, without engines and Envoy."""
    parents, spent = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            words = (folder / "cmdline").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        if not any(name in words for name in _ENGINES):
            spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return sum(seconds for pid, seconds in spent.items() if _descends(pid, root, parents))


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid not in (0, root):
        pid = parents.get(pid, 0)
    return pid == root
