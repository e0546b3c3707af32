"""M8, M10: where users are connected, and how clients of a node that drains come to another one."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from bench.draining import Crowd
from bench.driver import connected
from bench.processes import BenchError, python, running
from bench.report import Goal, Line
from bench.setup import Setup
from bench.system import SETTINGS, plaudit
from bench.waits import share_of, waits_ms
from engines.server import free_port
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc

# As in deploy/kubernetes/gateway.yaml.
_GRACE_SECONDS, _SPREAD_SECONDS = 60, 45


def lookups(setup: Setup) -> list[Line]:
    """M8: which node has the connection of a user, by one call of the registry."""
    users = int(setup.pick(1_000, 5_000, 10_000))
    choose = random.Random(1)
    with (
        plaudit() as system,
        connected(system.http_port, users, tokens=system.user_tokens(users), options=["--sources", "8"]),
    ):
        stub: Any = session_registry_service_pb2_grpc.SessionRegistryServiceStub(system.channel)
        token = system.minter.mint_service("bench", ("sessions",))
        metadata = [("authorization", f"Bearer {token}")]

        def read() -> None:
            request = pb.GetSessionsRequest(tenant="default", user=f"u{choose.randrange(users)}")
            found = stub.GetSessions(request, metadata=metadata, timeout=10).sessions
            if len(found) != 1:
                raise BenchError(f"{request.user} has {len(found)} sessions")

        waits = waits_ms(read)
    what = f"the node of a user of {users:,} connected ones, a call over gRPC, p99"
    notes = [f"p50 {share_of(waits, 0.5):.1f} ms"]
    return [Line("M8", what, "ms", [share_of(waits, 0.99)], goal=Goal(5, 1, at_most=True), notes=notes)]


def draining(setup: Setup) -> list[Line]:
    """M10: clients of a gateway that drains, with the settings of deploy/kubernetes, resume at another one."""
    clients = int(setup.pick(2_000, 10_000, 10_000))
    with plaudit() as system:
        port = free_port()
        arguments = [
            "-m", "stack.cli", "up", "--json", "--services", "gateway", "--registry", system.grpc_address,
            "--http", f"127.0.0.1:{port}", "--grpc", f"127.0.0.1:{free_port()}", "--data", str(system.data),
        ]  # fmt: skip
        settings = {
            **SETTINGS,
            "PLAUDIT_GRACE_SECONDS": f"{_GRACE_SECONDS}",
            "PLAUDIT_GATEWAY__RECONNECT_SPREAD": f"{_SPREAD_SECONDS}",
        }
        with running("draining", python(*arguments), env=settings) as gateway:
            gateway.read_answer(60)
            crowd = Crowd(system.user_tokens(clients), port, system.http_port)
            came, verdicts = asyncio.run(crowd.moved(gateway.terminate, _GRACE_SECONDS + 60.0))
    if verdicts["reset"]:
        raise BenchError(f"sessions were not continued: {dict(verdicts)}")
    seconds = Counter(int(time) for time in came)
    share = 100 * max(seconds.values()) / clients
    what = f"of {clients:,} clients of a gateway that drains, those that come to another one within one second"
    notes = [
        f"all within {max(came):.0f} s, at most {max(seconds.values())} in a second",
        f"verdicts: {dict(verdicts)}",
    ]
    return [Line("M10", what, "%", [share], goal=Goal(10, 5, at_most=True), notes=notes)]
