"""Broadcasters: one update to a thousand sockets at a steady rate, and its CPU cost per delivery."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.driver import bound, connected
from bench.processes import BIN, ROOT, BenchError, Process, Skipped, metered, python, running
from bench.system import System
from plaudit.fanout.v1.updates_pb2 import ReactionUpdate
from plaudit.gateway.v1 import node_service_pb2 as node_pb
from plaudit.gateway.v1 import node_service_pb2_grpc
from plaudit.type.v1.counts_pb2 import ReactionCount

DELIVER = "/plaudit.gateway.v1.NodeService/Deliver"
PEERS = ROOT / "bench" / "peers"


@dataclass(frozen=True, slots=True)
class Fanout:
    """The cost of one round of broadcasts."""

    deliveries: int
    cpu_seconds: float  # of the server
    driver_seconds: float
    notes: list[str]

    @property
    def per_cpu_second(self) -> float:
        """Deliveries per CPU-second of the server."""
        return self.deliveries / self.cpu_seconds


@dataclass(frozen=True, slots=True)
class Broadcaster:
    """A server with connected viewers. `broadcast(rate, seconds)` returns how many updates it sent."""

    server: Process
    driver: Process
    broadcast: Callable[[float, float], int]

    def measure(self, rate: float, seconds: float) -> Fanout:
        """Measures one round; raises BenchError if a socket misses an update, or gets one twice or out of order."""
        self._wait_until_quiet()
        with metered(self.server, self.driver) as meter:
            sent = self.broadcast(rate, seconds)
            # Deliveries in transit belong to the round: it ends when a whole pause brings no new ones.
            time.sleep(0.5)
        report = self.driver.request("report")
        if (report["frames_fewest"], report["frames_most"]) != (sent, sent):
            raise BenchError(
                f"{self.server.name}: {sent} updates sent, "
                f"but sockets received {report['frames_fewest']} to {report['frames_most']}"
            )
        if report["versions_back"] or report["versions_repeated"] or report["version_low"] != report["version_high"]:
            raise BenchError(f"{self.server.name}: versions went back, repeated or ended differently")
        notes = [*meter.notes, *bound(report)]
        cpu = meter.cpu
        return Fanout(report["frames"], cpu[self.server.name], cpu[self.driver.name], notes)

    def _wait_until_quiet(self) -> None:
        # The first updates of the subscriptions do not belong to a round.
        self.driver.request("report")
        for _ in range(50):
            time.sleep(0.1)
            if not self.driver.request("report")["frames"]:
                return
        raise BenchError(f"{self.server.name}: sockets receive frames although nothing is sent")


@contextmanager
def peer(name: str, arguments: Sequence[str], viewers: int, *driver_options: str) -> Iterator[Broadcaster]:
    """Runs a peer program, which prints its port and handles `broadcast RATE SECONDS` lines."""
    with running(name, arguments, env={"GOMAXPROCS": "1", "PYTHONUNBUFFERED": "1"}) as server:
        port = server.read_answer()["port"]
        with connected(port, viewers, name=f"{name}-viewers", protocol="plain", options=driver_options) as driver:

            def broadcast(rate: float, seconds: float) -> int:
                sent: int = server.request(f"broadcast {rate} {seconds}", timeout=seconds * 10 + 30)["sent"]
                return sent

            yield Broadcaster(server, driver, broadcast)


def python_peer(name: str, file: str, viewers: int, *driver_options: str) -> AbstractContextManager[Broadcaster]:
    """A peer written in Python, from bench/peers."""
    return peer(name, python(str(PEERS / file)), viewers, *driver_options)


def go_broadcaster() -> str:
    """The Go peer's program, compiled if it is missing."""
    program = BIN / "go-broadcaster"
    if program.exists() and program.stat().st_mtime >= (PEERS / "go" / "main.go").stat().st_mtime:
        return str(program)
    go = shutil.which("go")
    if go is None:
        raise Skipped("Go is not installed, so gorilla/websocket cannot be compared")
    BIN.mkdir(exist_ok=True)
    done = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=PEERS / "go",
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Skipped(f"gorilla/websocket cannot be built here: {done.stderr.strip()[-300:]}")
    return str(program)


@contextmanager
def plaudit_broadcaster(system: System, viewers: int, topic: str = "messages/fan") -> Iterator[Broadcaster]:
    """Plaudit's gateway with subscribed viewers, which gets updates in the way fan-out pushes them."""
    stub: Any = node_service_pb2_grpc.NodeServiceStub(system.channel)
    version = 0

    def broadcast(rate: float, seconds: float) -> int:
        nonlocal version
        rounds = round(rate * seconds)
        first, version = version + 1, version + rounds

        def requests() -> Iterator[node_pb.DeliverRequest]:
            began = time.monotonic()
            for index in range(rounds):
                time.sleep(max(0.0, began + index / rate - time.monotonic()))
                yield node_pb.DeliverRequest(deliveries=[_delivery(topic, first + index)])

        told = [response.sockets for response in stub.Deliver(requests(), metadata=system.node_metadata(DELIVER))]
        if told != [viewers] * rounds:
            raise BenchError(f"the gateway answered {len(told)} of {rounds} pushes, for {sum(told)} sockets")
        return rounds

    options = ["--topic", topic]
    with connected(
        system.http_port, viewers, name="viewers", tokens=system.user_tokens(viewers), options=options
    ) as driver:
        yield Broadcaster(system.server, driver, broadcast)


def _delivery(topic: str, version: int) -> node_pb.Delivery:
    reactions = [ReactionCount(emoji=emoji, count=count) for emoji, count in (("👍", 142), ("❤", 89), ("😆", 45))]
    update = ReactionUpdate(version=version, reactions=reactions)
    return node_pb.Delivery(
        tenant="default",
        topic=topic,
        type="reaction_update",
        payload=update.SerializeToString(),
        version=version,
    )
