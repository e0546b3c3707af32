"""Health checks of a real server, with clients that read nothing among them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kit.auth.keys import open_keys
from kit.limits.server_limits import ServerLimits
from kit.rpc.server import Server, serving
from tests.http2 import Http2Client, http2_client

WATCH = "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
EVERY_SERVICE = health_pb2.HealthCheckRequest()
pytestmark = pytest.mark.timeout(20)


@asynccontextmanager
async def server_of(tmp_path: Path, grace: float = 0.2, streams_without_token: int = 1_000) -> AsyncIterator[Server]:
    verifier = open_keys(tmp_path / "keys").verifier()
    limits = ServerLimits(grace=grace, streams_without_token=streams_without_token)
    async with serving([], verifier=verifier, limits=limits) as server:
        yield server


@asynccontextmanager
async def health_of(server: Server) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def blocked_watch(client: Http2Client) -> None:
    """Begins a watch whose first response the server cannot send."""
    stream = client.call(WATCH)
    async with asyncio.timeout(5):
        await client.has_headers(stream)


async def test_a_watch_that_is_not_read_delays_neither_other_watches_nor_a_change(tmp_path: Path) -> None:
    async with server_of(tmp_path) as server, http2_client(server.address, window=0) as client:
        await blocked_watch(client)
        async with health_of(server) as health:
            watch = health.Watch(EVERY_SERVICE, timeout=5)
            assert (await watch.read()).status == SERVING
            server.not_ready()
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()


async def test_a_watch_that_is_not_read_does_not_delay_the_stop(tmp_path: Path) -> None:
    async with AsyncExitStack() as clients:
        async with server_of(tmp_path) as server:
            await blocked_watch(await clients.enter_async_context(http2_client(server.address, window=0)))
            began = time.monotonic()
        assert time.monotonic() - began < 5


async def test_a_stop_ends_watches_after_their_last_status(tmp_path: Path) -> None:
    began, statuses = 0.0, []
    async with server_of(tmp_path, grace=15) as server:
        channel = grpc.aio.insecure_channel(server.address)
        watch = health_pb2_grpc.HealthStub(channel).Watch(EVERY_SERVICE)
        responses = aiter(watch)
        statuses.append((await anext(responses)).status)
        began = time.monotonic()
    assert time.monotonic() - began < 10  # the grace would be 15 s
    statuses += [response.status async for response in responses]
    assert statuses == [SERVING, NOT_SERVING]
    await channel.close()


async def test_callers_without_a_token_have_a_share_of_the_streams(tmp_path: Path) -> None:
    async with server_of(tmp_path, streams_without_token=2) as server, health_of(server) as health:
        watches = [health.Watch(EVERY_SERVICE) for _ in range(2)]
        for watch in watches:
            assert (await watch.read()).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Watch(EVERY_SERVICE).read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await health.Check(EVERY_SERVICE)).status == SERVING
        for watch in watches:
            watch.cancel()


async def test_an_unknown_service_is_not_found_and_every_service_is_listed(tmp_path: Path) -> None:
    async with server_of(tmp_path) as server, health_of(server) as health:
        unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(unknown)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        watch = health.Watch(unknown)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()
        listed = await health.List(health_pb2.HealthListRequest())
        assert {name: each.status for name, each in listed.statuses.items()} == dict.fromkeys(
            ["", *server.services], SERVING
        )
