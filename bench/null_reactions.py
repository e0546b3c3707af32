"""The gateway with a service that does nothing: the cost of a toggle frame without reactions, counts and a store.

Takes the options of `plaudit up` that benchmarks use. The gateway, the calls and the server are the real ones,
in one process as there; only the reactions behind them are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from gateway.app import opened
from gateway.config import Config, SessionLimits
from kit.auth.caller import Caller
from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.registration import LeaseStatus
from kit.rpc import mesh
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from plaudit.type.v1.counts_pb2 import ReactionCount
from stack.process.logs import configure_logging

ANSWER = pb.ToggleReactionResponse(
    on=True, version=1_763_700_000_000_000, reactions=[ReactionCount(emoji="👍", count=142)]
)


class NullReactionService(reaction_service_pb2_grpc.ReactionServiceServicer):
    """Answers every toggle with the same response; implements no other rpc."""

    async def toggle(self, calls: Sequence[tuple[Any, Caller]]) -> Sequence[Any]:
        """A batch of toggles."""
        return [ANSWER] * len(calls)


class SingleProcess:
    """See `kit.rpc.mesh.Nodes`, `gateway.ports.Directory`: all services are in this process; nothing is registered."""

    def __init__(self) -> None:
        self.address = ""

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.rpc.mesh.Nodes`."""
        return (self.address,)

    def address_of(self, node_id: str) -> str:
        """See `kit.rpc.mesh.Nodes`."""
        return ""

    def is_attached(self) -> bool:
        """See `gateway.ports.Directory`."""
        return True

    def lease_status(self) -> LeaseStatus:
        """See `gateway.ports.Directory`."""
        return LeaseStatus(1, 0.0, 0.0, True)

    def opened(self, session_id: str, tenant: str, user: str, device: str, *, token_issued: int | None = None) -> None:
        """See `gateway.ports.Directory`."""

    def closed(self, session_id: str) -> None:
        """See `gateway.ports.Directory`."""

    def subscribe(self, tenant: str, topic: str) -> None:
        """See `gateway.ports.Directory`."""

    def unsubscribe(self, tenant: str, topic: str) -> None:
        """See `gateway.ports.Directory`."""

    def on_fenced(self, callback: Callable[[Sequence[str]], None]) -> None:
        """See `gateway.ports.Directory`."""

    def on_logged_out(self, callback: Callable[[Sequence[str]], None]) -> None:
        """See `gateway.ports.Directory`."""


async def _serve(http: str, listen: str, data: Path) -> None:
    keys, here, servicer = open_keys(data / "keys"), SingleProcess(), NullReactionService()
    verifier = keys.verifier()
    limits = SessionLimits(frames_per_second=1e6, frames_burst=1_000_000, calls_in_flight=1024)
    config = Config(port=int(http.rpartition(":")[2]), session=limits)
    add = reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server
    async with (
        mesh.connected(here, NodeTokens(keys.minter())) as calls,
        opened(config, calls, verifier, here, node_id="null") as gateway,
        serving(
            [*gateway.hosted, Hosted(servicer, add, batches={"ToggleReaction": servicer.toggle})],
            verifier=verifier,
            listen=listen,
        ) as server,
    ):
        here.address = calls.own_address = server.address
        calls.own_calls = server.local_calls(calls.metadata(EXCHANGE))
        print(json.dumps({"http": http, "grpc": server.address}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["up"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--http", required=True)
    parser.add_argument("--grpc", required=True)
    parser.add_argument("--data", type=Path, required=True)
    chosen = parser.parse_args()
    configure_logging("warning")
    uvloop.run(_serve(chosen.http, chosen.grpc, chosen.data))
