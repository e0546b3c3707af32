"""A reaction service over real gRPC, and callers of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

import counter_svc.app
import counter_svc.config
import reaction_svc.app
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.clock import ManualClock
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError, remote_error
from kit.ledger.router import LedgerServicer
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from reaction_svc.config import Config

SERVICE = "/plaudit.reaction.v1.ReactionService"
TOGGLE = f"{SERVICE}/ToggleReaction"
FREE = Config(changes_per_second=0)


@dataclass
class Rig:
    """A server with reactions and counts, and ways to it."""

    stub: Any
    mesh: Mesh
    keys: Keys
    hosted: Sequence[Hosted]
    clock: ManualClock

    def user(self, name: str = "alice", tenant: str = "default") -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.keys.minter().mint_user(name, tenant)}"),)

    def service(self, *scopes: str, acting_for: str = "") -> tuple[tuple[str, str], ...]:
        token = self.keys.minter().mint_service("load", scopes or ("act-as", "tenants", "audit"))
        metadata = (("authorization", f"Bearer {token}"),)
        return (*metadata, ("plaudit-user", acting_for)) if acting_for else metadata

    async def toggle(
        self, emoji: str = "👍", *, target: str = "messages/42", user: str = "alice", op_id: str = ""
    ) -> Any:
        request = changes_pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=op_id)
        return await self.stub.ToggleReaction(request, metadata=self.user(user))


@asynccontextmanager
async def rig(folder: Path, config: Config = FREE, counting: bool = True) -> AsyncIterator[Rig]:
    keys = open_keys(folder / "keys")
    clock = ManualClock()
    async with (
        open_sqlite_log(folder / "reactions.db", ledgers=["reactions"]) as log,
        connected(StaticNodes(), NodeTokens(keys.minter())) as mesh,
        reaction_svc.app.opened(config, mesh, Engines(folder, log), LedgerServicer(), clock) as reactions,
        counter_svc.app.opened(counter_svc.config.Config(drift_seconds=0), mesh, Engines(folder, log)) as counts,
        serving(
            [*reactions, *(counts if counting else [])], verifier=keys.verifier(), limits=ServerLimits(grace=1.0)
        ) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        mesh.own_address = server.address
        mesh.set_resolver(StaticNodes(server.address))
        yield Rig(pb_grpc.ReactionServiceStub(channel), mesh, keys, reactions, clock)


@pytest.fixture(name="rig")
async def fixture_rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


def counts_of(reactions: Iterable[Any]) -> list[tuple[str, int]]:
    return [(row.emoji, row.count) for row in reactions]


async def refused(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    for key, value in failed.value.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return remote_error(status_pb2.Status.FromString(value))
    raise AssertionError(f"a status without details: {failed.value!r}")
