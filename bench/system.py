"""Plaudit under test: real processes of its public command, and checks of them over gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from bench.processes import SERVER_CPU, BenchError, Process, python, running, wait_until
from engines.server import free_port
from kit.auth.keys import open_keys
from kit.auth.tokens import Minter
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as reaction_pb

THUMB = "👍"
SETTINGS = {
    # A load driver is one very active user: without higher limits the benchmark would measure the limits.
    "PLAUDIT_REACTION__CHANGES_PER_SECOND": "0",
    "PLAUDIT_MESSAGE__SENDS_PER_SECOND": "0",
    "PLAUDIT_MESSAGE__CREATIONS_PER_HOUR": "0",
    "PLAUDIT_GATEWAY__SESSION__FRAMES_PER_SECOND": "1000000",
    "PLAUDIT_GATEWAY__SESSION__FRAMES_BURST": "1000000",
    "PLAUDIT_GATEWAY__SESSION__CALLS_IN_FLIGHT": "1024",
    "PLAUDIT_GATEWAY__HANDSHAKES_SHARE": "1",
}


class Checks:
    """Reads of a running system, to check its records and counts."""

    def __init__(self, channel: grpc.Channel, token: str, counters: grpc.Channel | None = None) -> None:
        """`counters`: the channel for counts, if it is another one."""
        self._reactions: Any = reaction_grpc.ReactionServiceStub(channel)
        self._counters: Any = counter_grpc.CounterServiceStub(counters or channel)
        self._metadata = [("authorization", f"Bearer {token}")]

    def tallied(self, targets: Sequence[str]) -> int:
        """The number of reactions in the records of the targets."""
        request = reaction_pb.TallyReactionsRequest(tenant="default", targets=targets)
        tallies = self._reactions.TallyReactions(request, metadata=self._metadata, timeout=60).tallies
        return sum(one.count for tally in tallies for one in tally.counts.reactions)

    def counted(self, targets: Sequence[str]) -> int:
        """The number of reactions in the current counts of the targets."""
        request = counter_pb.GetCountsRequest(targets=targets, tenants=["default"] * len(targets))
        counts = self._counters.GetCounts(request, metadata=self._metadata, timeout=10).counts
        return sum(one.count for target in counts for one in target.reactions)

    def wait_until_settled(self, targets: Sequence[str], expected: int, within: float = 5.0) -> float:
        """Seconds until the counts are as expected; raises BenchError if they or the records never are."""
        began = time.monotonic()
        while (counted := self.counted(targets)) != expected:
            if time.monotonic() - began > within:
                raise BenchError(f"{counted} reactions counted after {within} s, {expected} were acked")
            time.sleep(0.002)
        took = time.monotonic() - began
        if (tallied := self.tallied(targets)) != expected:
            raise BenchError(f"{tallied} reactions in the records, {expected} were acked")
        return took


@dataclass
class System:
    """A running Plaudit. `grpc_address` is `host:port`."""

    server: Process
    data: Path
    http_port: int
    grpc_address: str
    _channels: list[grpc.Channel] = field(default_factory=list)

    @cached_property
    def minter(self) -> Minter:
        """The minter of its tokens."""
        return open_keys(self.data / "keys").minter()

    @cached_property
    def service_token(self) -> str:
        """A service's token that may act for users of any tenant."""
        return self.minter.mint_service("bench", ("act-as", "tenants", "audit"))

    def node_metadata(self, method: str) -> list[tuple[str, str]]:
        """The metadata of calls of `/package.Service/Method` by a process of the system."""
        return [("authorization", f"Bearer {self.minter.mint_node('bench', method)}")]

    @cached_property
    def channel(self) -> grpc.Channel:
        """A channel for checks."""
        channel = grpc.insecure_channel(self.grpc_address)
        self._channels.append(channel)
        return channel

    def user_tokens(self, count: int) -> list[str]:
        """Tokens of `count` users."""
        return [self.minter.mint_user(f"u{index}", ttl=3600) for index in range(count)]

    @cached_property
    def checks(self) -> Checks:
        """Reads of its records and counts."""
        return Checks(self.channel, self.service_token)

    def wait_until_settled(self, targets: Sequence[str], expected: int, within: float = 5.0) -> float:
        """See `Checks.wait_until_settled`."""
        return self.checks.wait_until_settled(targets, expected, within)

    def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels:
            channel.close()


@contextmanager
def plaudit(
    name: str = "plaudit",
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    module: str = "stack.cli",
) -> Iterator[System]:
    """Runs all services in one process, on free ports with an empty folder; ready when the block begins.

    `module`: whose command line starts it, the public one or one that takes the same options.
    """
    with TemporaryDirectory(prefix="plaudit-bench-") as folder:
        data, http, rpc = Path(folder) / "data", free_port(), f"127.0.0.1:{free_port()}"
        command = ["-m", module, "up", "--json", "--http", f"127.0.0.1:{http}", "--grpc", rpc, "--data", str(data)]
        with running(
            name, python(*command, *arguments), cpu=SERVER_CPU, env={**SETTINGS, **(settings or {})}
        ) as server:
            system = System(server, data, http, rpc)
            try:
                server.read_answer(60)
                yield system
            finally:
                system.close()
        wait_until(lambda: not server.alive(), f"{name} did not stop")
