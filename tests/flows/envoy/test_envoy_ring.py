"""Where Envoy sends calls: equal keys to one node, and when a node goes or comes, only its own keys elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from engines.server import free_port
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError
from kit.limits.server_limits import ServerLimits
from kit.rpc import mesh as mesh_module
from kit.rpc.envoy_nodes import EnvoyNodes
from kit.rpc.mesh import connected
from kit.rpc.server import Hosted, serving
from kit.rpc.tls import Tls
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from stack import certs
from stack.envoy.render import write_endpoints
from tests.flows.envoy.envoys import Edge, envoy

REACTION = "plaudit.reaction.v1.ReactionService"
COUNTER = "plaudit.counter.v1.CounterService"
TOGGLE = f"/{REACTION}/ToggleReaction"
TARGETS = [f"messages/{number}" for number in range(120)]
Owners = dict[str, str]
Ask = Callable[[str], Awaitable[tuple[int, Any]]]


class Reactions(pb_grpc.ReactionServiceServicer):
    """Says which node it is, unless it is broken."""

    def __init__(self, name: str, calls: Counter[str], broken: bool) -> None:
        self._name = name
        self._calls = calls
        self._broken = broken

    async def ToggleReaction(self, request: pb.ToggleReactionRequest, context: Any) -> pb.ToggleReactionResponse:
        self._calls[self._name] += 1
        if self._broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        response = pb.ToggleReactionResponse(on=True)
        response.reactions.add(emoji=self._name, count=1)
        return response


class Counts(counter_grpc.CounterServiceServicer):
    """Says which node it is, unless it is broken."""

    def __init__(self, name: str, calls: Counter[str], broken: bool) -> None:
        self._name = name
        self._calls = calls
        self._broken = broken

    async def GetReactionCounts(
        self, request: counter_pb.GetReactionCountsRequest, context: Any
    ) -> counter_pb.GetReactionCountsResponse:
        self._calls[self._name] += 1
        if self._broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        response = counter_pb.GetReactionCountsResponse()
        response.reactions.add(emoji=self._name, count=1)
        return response


class Nodes:
    """Three nodes on ports of their own, which may stop and come back."""

    def __init__(self, keys: Keys, tls: Tls | None = None) -> None:
        self.keys = keys
        self.reads: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.addresses = tuple(f"127.0.0.1:{free_port()}" for _ in range(3))
        self._tls = tls
        self._running: dict[str, AsyncExitStack] = {}

    async def start(self, address: str) -> None:
        hosted = [
            Hosted(
                Reactions(address, self.changes, address in self.broken),
                pb_grpc.add_ReactionServiceServicer_to_server,
            ),
            Hosted(
                Counts(address, self.reads, address in self.broken), counter_grpc.add_CounterServiceServicer_to_server
            ),
        ]
        limits = ServerLimits(grace=0.2)
        self._running[address] = stack = AsyncExitStack()
        verifier = self.keys.verifier()
        await stack.enter_async_context(
            serving(hosted, verifier=verifier, listen=address, limits=limits, tls=self._tls)
        )

    async def stop(self, address: str) -> None:
        await self._running.pop(address).aclose()

    async def __aenter__(self) -> Nodes:
        for address in self.addresses:
            await self.start(address)
        return self

    async def __aexit__(self, *_: object) -> None:
        for address in list(self._running):
            await self.stop(address)


@asynccontextmanager
async def ring(folder: Path, tls: Tls | None = None, **more: Any) -> AsyncIterator[tuple[Edge, Nodes]]:
    """Envoy before three nodes; there are no gateways, so pages are not served."""
    keys = open_keys(folder / "keys")
    async with Nodes(keys, tls) as nodes:
        services = dict.fromkeys((REACTION, COUNTER), nodes.addresses)
        gone = f"127.0.0.1:{free_port()}"
        own = {"gateways": (gone,), "services": services, "keys": keys.trusted, "tls": tls}
        async with envoy(folder, ready=(REACTION, COUNTER), **own, **more) as edge:
            yield edge, nodes


async def direct(edge: Edge, nodes: Nodes, target: str) -> str:
    """Who answers a call with the target as its key; a call that did not reach a node is made again."""
    metadata = [
        ("authorization", f"Bearer {nodes.keys.minter().mint_service('peer')}"),
        ("plaudit-user", "alice"),
        ("plaudit-route-key", target),
    ]
    async with grpc.aio.insecure_channel(edge.address) as channel:
        stub: Any = pb_grpc.ReactionServiceStub(channel)
        while True:
            try:
                request = pb.ToggleReactionRequest(target=target, emoji="👍")
                return str((await stub.ToggleReaction(request, metadata=metadata, timeout=5)).reactions[0].emoji)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017


async def by_rest(edge: Edge, nodes: Nodes, target: str) -> str:
    headers = {"Authorization": f"Bearer {nodes.keys.minter().mint_user('alice')}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            async with http.put(f"{edge.url}/api/v1/{target}/reactions/like") as answer:
                if answer.status == 200:
                    return str((await answer.json())["reactions"][0]["emoji"])
                assert answer.status == 503


async def owners(ask: Callable[[str], Awaitable[str]]) -> Owners:
    async with asyncio.timeout(30):
        return {target: await ask(target) for target in TARGETS}


async def moved_and_back(nodes: Nodes, ask: Callable[[str], Awaitable[str]]) -> None:
    """A node goes and comes back: only its keys move, and they return."""
    first, before = await owners(ask), await owners(ask)
    # One key in ten thousand has no node of its own.
    loose = {target for target in TARGETS if first[target] != before[target]}
    assert len(loose) <= 1
    shares = Counter(before.values())
    assert set(shares) == set(nodes.addresses)
    # Of 32 slots, ports that are any may leave a node with few: with one at most once in ten thousand runs.
    assert min(shares.values()) > len(TARGETS) / 30
    leaving = nodes.addresses[0]
    await nodes.stop(leaving)
    without = await owners(ask)
    assert leaving not in without.values()
    assert {target for target in TARGETS if before[target] != without[target]} - loose == {
        target for target in TARGETS if before[target] == leaving
    } - loose
    await nodes.start(leaving)
    async with asyncio.timeout(30):
        while any(now != before[target] for target, now in (await owners(ask)).items() if target not in loose):
            pass


@pytest.mark.parametrize("ask", [direct, by_rest], ids=["grpc", "rest"])
async def test_only_the_keys_of_a_lost_node_move(tmp_path: Path, ask: Any) -> None:
    async with ring(tmp_path) as (edge, nodes):
        await moved_and_back(nodes, lambda target: ask(edge, nodes, target))


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "mutual tls"])
async def test_a_gateway_that_reaches_nodes_through_envoy_has_the_same_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secured: bool
) -> None:
    monkeypatch.setattr(mesh_module, "RENEW_SECONDS", 0.0)
    tls = None
    if secured:
        certs.make(tmp_path / "certs")
        tls = Tls(*(tmp_path / "certs" / name for name in ("ca.pem", "service.pem", "service.key")))
    internal = f"127.0.0.1:{free_port()}"
    async with ring(tmp_path, tls, internal=internal) as (_, nodes):
        found = EnvoyNodes(internal, [REACTION], StaticNodes(), slots=32)
        async with connected(found, NodeTokens(nodes.keys.minter()), tls) as mesh:

            async def ask(target: str) -> str:
                request = pb.ToggleReactionRequest(target=target, emoji="👍").SerializeToString()
                while True:
                    try:
                        answer = await mesh.call(TOGGLE, request, key=target, user="alice", tenant="default")
                        return pb.ToggleReactionResponse.FromString(answer).reactions[0].emoji
                    except RemoteError as error:
                        assert error.code is grpc.StatusCode.UNAVAILABLE  # noqa: PT017

            async def ask_again(target: str) -> str:
                if target == TARGETS[0]:
                    await mesh.close_idle()  # as it does now and then
                return await ask(target)

            await moved_and_back(nodes, ask_again)


async def test_a_read_is_tried_at_another_node_and_a_change_is_not(tmp_path: Path) -> None:
    async with ring(tmp_path) as (edge, nodes):
        headers = {"Authorization": f"Bearer {nodes.keys.minter().mint_user('alice')}"}
        async with aiohttp.ClientSession(headers=headers) as http:

            async def read(target: str) -> tuple[int, Any]:
                async with http.get(f"{edge.url}/api/v1/{target}/reactions") as answer:
                    return answer.status, await answer.json()

            async def change(target: str) -> tuple[int, Any]:
                async with http.put(f"{edge.url}/api/v1/{target}/reactions/like") as answer:
                    return answer.status, await answer.json()

            async def answer_of_owner(calls: Counter[str], ask: Ask) -> tuple[int, Any]:
                """The answer to the first call that reaches the owner: where the machine stands still, Envoy takes the
                owner for dead for a moment, and does not ask it."""
                async with asyncio.timeout(30):
                    while True:
                        await edge.healthy(REACTION, COUNTER)
                        calls.clear()
                        answer = await ask(TARGETS[0])
                        if calls[owner]:
                            return answer

            owner, of_change = [(await ask(TARGETS[0]))[1]["reactions"][0]["emoji"] for ask in (read, change)]
            assert owner == of_change
            nodes.broken.add(owner)
            await nodes.stop(owner)
            await nodes.start(owner)
            status, received = await answer_of_owner(nodes.reads, read)
            assert status == 200
            assert received["reactions"][0]["emoji"] != owner
            assert nodes.reads[owner] == 1
            status, received = await answer_of_owner(nodes.changes, change)
            assert (status, received["code"]) == (503, 14)
            assert nodes.changes == {owner: 1}
        assert await edge.stats(f"cluster.{COUNTER}.upstream_rq_retry") == 1
        assert await edge.stats(f"cluster.{REACTION}.upstream_rq_retry") == 0


async def test_a_call_without_a_live_node_is_refused_by_envoy_without_effect(tmp_path: Path) -> None:
    async with ring(tmp_path) as (edge, nodes):
        for address in nodes.addresses:
            await nodes.stop(address)
        headers = {"Authorization": f"Bearer {nodes.keys.minter().mint_user('alice')}"}
        async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(20):
            while True:
                async with http.put(f"{edge.url}/api/v1/posts/1/reactions/like") as answer:
                    received = await answer.json()
                    assert (answer.status, received["code"]) == (503, 14)
                    # While connections that were open break, Envoy cannot know.
                    if received["details"][0]["reason"] == "NODE_UNREACHABLE":
                        assert answer.headers["Retry-After"] == "1"
                        break
                    assert received["details"][0]["reason"] == "OUTCOME_UNKNOWN"
        async with grpc.aio.insecure_channel(edge.address) as channel:
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            metadata = [("authorization", f"Bearer {nodes.keys.minter().mint_user('alice')}")]
            with pytest.raises(grpc.aio.AioRpcError, match="no node could be reached; nothing was done"):
                await stub.ToggleReaction(pb.ToggleReactionRequest(target="posts/1", emoji="👍"), metadata=metadata)


async def test_addresses_in_files_are_followed(tmp_path: Path) -> None:
    async with ring(tmp_path, endpoints=tmp_path / "endpoints") as (edge, nodes):
        assert set((await owners(lambda target: direct(edge, nodes, target))).values()) == set(nodes.addresses)
        write_endpoints(edge.model, REACTION, nodes.addresses[1:])
        async with asyncio.timeout(20):
            while True:
                found = await owners(lambda target: direct(edge, nodes, target))
                if set(found.values()) == set(nodes.addresses[1:]):
                    break
