"""A counter on a real log with a reaction service, over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from counter_svc.app import opened
from counter_svc.config import Config
from counter_svc.domain import Totals
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.errors import RemoteError
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.flows.crowd import Crowd, CrowdServicer

GET = "/plaudit.counter.v1.CounterService/GetCounts"
REBUILD = "/plaudit.counter.v1.CounterService/Rebuild"
KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(5)]
OTHER: TargetKey = ("default", "posts/other")
QUICK = Config(drift_seconds=0.05, watch_seconds=0.001)
UNCHECKED = Config(drift_seconds=0)


class Addresses:
    """Where services are, filled in once they are there."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()

    def addresses(self, service: str) -> tuple[str, ...]:
        return self.found

    def address_of(self, node_id: str) -> str:
        return ""


@dataclass
class CounterStack:
    """A counter and a reaction service, as a user of both sees them."""

    crowd: Crowd
    mesh: Mesh
    keys: Keys
    address: str

    async def get(
        self, keys: Sequence[TargetKey], least: Sequence[int] = (), timeout: float = 5.0
    ) -> dict[TargetKey, Totals]:
        request = pb.GetCountsRequest(
            targets=[target for _, target in keys], tenants=[tenant for tenant, _ in keys], min_versions=least
        )
        answer = await self.mesh.call(GET, request.SerializeToString(), timeout=timeout)
        rows = pb.GetCountsResponse.FromString(answer).counts
        assert [row.target for row in rows] == [target for _, target in keys]
        return {
            key: Totals(row.version, tuple((one.emoji, one.count) for one in row.reactions))
            for key, row in zip(keys, rows, strict=True)
        }

    async def assert_exact(self, keys: Sequence[TargetKey] = KEYS) -> None:
        least = [self.crowd.versions[key] for key in keys]
        for key, found in (await self.get(keys, least)).items():
            assert (found.version, dict(found.reactions)) == self.crowd.truth(key), key

    async def is_exact(self, keys: Sequence[TargetKey] = KEYS) -> bool:
        found = await self.get(keys)
        return all(dict(value.reactions) == self.crowd.truth(key)[1] for key, value in found.items())

    async def rebuild(self, keys: Sequence[TargetKey] = ()) -> tuple[int, int]:
        request = pb.RebuildRequest(tenant="default", targets=[target for _, target in keys])
        done = pb.RebuildResponse.FromString(await self.mesh.call(REBUILD, request.SerializeToString(), timeout=20))
        return done.targets, done.drifted


@asynccontextmanager
async def counter_stack(
    folder: Path, crowd: Crowd, config: Config = QUICK, log: Any = None, records: Any = None
) -> AsyncIterator[CounterStack]:
    """Serves a counter and a reaction service; `records` answers for the reaction service instead of the crowd."""
    keys = open_keys(folder / "keys")
    places = Addresses()
    peer = Hosted(records or CrowdServicer(crowd), reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    limits = ServerLimits(grace=0.5)
    async with (
        connected(places, NodeTokens(keys.minter())) as mesh,
        opened(config, mesh, Engines(folder, log or crowd.log)) as hosted,
        serving([*hosted, peer], verifier=keys.verifier(), limits=limits) as server,
    ):
        mesh.own_address, places.found = server.address, (server.address,)
        yield CounterStack(crowd, mesh, keys, server.address)


@pytest.fixture(name="log")
async def fixture_log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(tmp_path / "reactions.db") as log:
        yield log


@pytest.fixture(name="crowd")
def fixture_crowd(log: SqliteLog) -> Crowd:
    return Crowd(log)


async def knows(counter: CounterStack, keys: Sequence[TargetKey]) -> bool:
    try:
        found = await counter.get(keys, timeout=0.2)
    except RemoteError:
        return False
    return all(found[key].version == counter.crowd.versions[key] for key in keys)
