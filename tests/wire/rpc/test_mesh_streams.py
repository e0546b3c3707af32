"""The call streams of a process: kept while they are used, ended when they are not, renewed through an Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.limits.server_limits import ServerLimits
from kit.rpc import mesh as mesh_module
from kit.rpc.envoy_nodes import EnvoyNodes
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

SERVICE = "plaudit.reaction.v1.ReactionService"
TOGGLE = f"/{SERVICE}/ToggleReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍").SerializeToString()


class GatedReactions(pb_grpc.ReactionServiceServicer):
    """Answers when the gate is open."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def ToggleReaction(self, request: pb.ToggleReactionRequest, context: Any) -> pb.ToggleReactionResponse:
        self.entered.set()
        await self.gate.wait()
        return pb.ToggleReactionResponse(on=True)


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")


@asynccontextmanager
async def rig(keys: Keys, *, slots: int = 0) -> AsyncIterator[tuple[Mesh, GatedReactions]]:
    servicer = GatedReactions()
    hosted = Hosted(servicer, pb_grpc.add_ReactionServiceServicer_to_server)
    async with serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2)) as server:
        nodes = StaticNodes(server.address)
        # A service knows nothing of Envoy's labels, so it may stand in for one.
        through = EnvoyNodes(server.address, [SERVICE], nodes, slots=slots) if slots else nodes
        async with connected(through, NodeTokens(keys.minter())) as mesh:
            yield mesh, servicer


async def called(mesh: Mesh, key: str = "") -> bool:
    answer = await mesh.call(TOGGLE, REQUEST, key=key, user="alice", tenant="default", timeout=5)
    return pb.ToggleReactionResponse.FromString(answer).on


async def test_an_unused_stream_is_closed_and_opened_again_when_needed(keys: Keys) -> None:
    async with rig(keys) as (mesh, _):
        assert await called(mesh)
        before = len(asyncio.all_tasks())
        await mesh.close_idle()  # it was used since the last time
        assert len(asyncio.all_tasks()) == before
        await mesh.close_idle()
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) >= before:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert await called(mesh)


async def test_a_stream_with_a_call_in_flight_is_kept(keys: Keys) -> None:
    async with rig(keys) as (mesh, servicer):
        servicer.gate.clear()
        call = asyncio.create_task(called(mesh))
        await servicer.entered.wait()
        for _ in range(3):
            await mesh.close_idle()
        servicer.gate.set()
        assert await call


async def test_streams_through_an_envoy_are_renewed_without_losing_a_call(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_module, "RENEW_SECONDS", 0.0)
    async with rig(keys, slots=2) as (mesh, servicer):
        servicer.gate.clear()
        call = asyncio.create_task(called(mesh, "messages/1"))
        await servicer.entered.wait()
        await mesh.close_idle()  # the next calls have a stream of their own
        servicer.gate.set()
        assert await call
        assert await called(mesh, "messages/1")
        await mesh.close_idle()
        assert await called(mesh, "messages/1")


def test_a_key_stays_with_its_slot_and_other_services_are_found_directly() -> None:
    nodes = EnvoyNodes("envoy:1", [SERVICE], StaticNodes("direct:2"), slots=3)
    assert nodes.addresses(SERVICE) == tuple(f"envoy:1#{SERVICE}#slot-{number}" for number in range(3))
    assert nodes.addresses("plaudit.gateway.v1.NodeService") == ("direct:2",)
