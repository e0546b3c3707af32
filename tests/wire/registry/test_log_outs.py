"""Log outs that outlive the leader that recorded them, and the loss of their store."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from kit.auth.keys import Keys
from kit.rpc.mesh import Mesh
from plaudit.session.v1 import session_registry_service_pb2 as pb
from tests.registryprocess import registry
from tests.wire.registry.registering import gateway, mesh, owner_is, until
from tests.wire.registry.registries import (
    Stores,
    agree,
    fixture_folder,
    fixture_keys,
    fixture_keyspace,
    fixture_stores,
    leader_of,
    stub,
)

__all__ = ["fixture_folder", "fixture_keys", "fixture_keyspace", "fixture_stores"]


async def log_out(keys: Keys, reach: Mesh, address: str, **fields: str) -> int:
    """Alice logs out devices; repeated where the registry says so."""
    metadata = (("authorization", f"Bearer {keys.minter().mint_user('alice', 'acme')}"),)
    async with asyncio.timeout(20):
        while True:
            try:
                answer: Any = await stub(reach, address).EndSessions(pb.EndSessionsRequest(**fields), metadata=metadata)
                return int(answer.ended)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)


async def test_a_log_out_outlives_the_leader(keys: Keys, stores: Stores) -> None:
    old = int(time.time()) - 100
    async with mesh(keys) as reach:
        async with registry(keys, stores.urls) as first:
            await leader_of(reach, [first.address])
            async with gateway(reach, first.address, "n1") as node:
                node.registration.opened("s1", "acme", "alice", "phone", token_issued=old)
                await owner_is(reach, first.address, "alice", ("n1", "s1"))
                assert await log_out(keys, reach, first.address, device_id="phone") == 1
                await until(lambda: node.logged_out == ["s1"])
        async with registry(keys, stores.urls) as second:
            await leader_of(reach, [second.address])
            async with gateway(reach, second.address, "n2") as node:
                node.registration.opened("s2", "acme", "alice", "phone", token_issued=old)
                await until(lambda: node.logged_out == ["s2"])
                node.registration.opened("s3", "acme", "alice", "phone", token_issued=old + 200)
                await agree(reach, [second.address], "alice", ("n2", "s3"))


async def test_a_flushed_redis_has_the_log_outs_of_the_leader_again(keys: Keys, stores: Stores) -> None:
    old = int(time.time()) - 100
    async with mesh(keys) as reach:
        async with registry(keys, stores.urls) as first:
            await leader_of(reach, [first.address])
            assert await log_out(keys, reach, first.address, device_id="phone") == 0
            before = stores.redis.send("EXISTS", "t:registry:log_outs")
            stores.redis.send("FLUSHALL")
            async with asyncio.timeout(20):
                while stores.redis.send("EXISTS", "t:registry:log_outs") != before:  # noqa: ASYNC110 - in another process
                    await asyncio.sleep(0.01)
        async with registry(keys, stores.urls) as second:
            await leader_of(reach, [second.address])
            async with gateway(reach, second.address, "n2") as node:
                node.registration.opened("s2", "acme", "alice", "phone", token_issued=old)
                await until(lambda: node.logged_out == ["s2"])
