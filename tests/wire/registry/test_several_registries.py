"""Several registries on real engines: which one leads, and that any of them answers."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kit.auth.keys import Keys
from kit.cluster.registry_endpoints import RegistryEndpoints
from plaudit.session.v1 import session_registry_service_pb2 as pb
from tests.registryprocess import QUICK, registry
from tests.wire.registry.registering import gateway, mesh
from tests.wire.registry.registries import (
    Stores,
    agree,
    connected_at,
    fixture_folder,
    fixture_keys,
    fixture_keyspace,
    fixture_stores,
    found_at,
    leader_of,
    refusal,
    stub,
    two_gateways,
    two_registries,
)

__all__ = ["fixture_folder", "fixture_keys", "fixture_keyspace", "fixture_stores"]


async def test_a_standby_names_the_leader_and_nodes_find_it_from_any_registry(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        [standby] = set(addresses) - {leader}
        async with two_gateways(reach, addresses) as (one, two):
            assert one.registration.is_attached()
            assert two.registration.is_attached()
            failure = await refusal(reach, standby)
            async with asyncio.timeout(5):
                while not failure.about:  # it looks now and then who leads
                    failure = await refusal(reach, standby)
            assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_LEADER")
            assert failure.about == {"leader": leader}
        # A name of several processes leads to a standby, which returns the address of the leader.
        async with gateway(reach, standby, "n3") as three:
            assert three.registration.is_attached()


async def test_any_registry_answers_where_a_user_is_and_from_which_source(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two):
            one.registration.opened("s1", "acme", "alice", "phone")
            await agree(reach, addresses, "alice", ("n1", "s1"))
            two.registration.opened("s2", "acme", "alice", "laptop")
            one.registration.opened("s3", "acme", "bob", "")
            await agree(reach, addresses, "alice", ("n1", "s1"), ("n2", "s2"))
            await agree(reach, addresses, "bob", ("n1", "s3"))
            for address in addresses:
                answer = await found_at(reach, address, "alice")
                assert isinstance(answer, pb.GetSessionsResponse)
                assert answer.from_routes == (address != leader)
                assert all(session.epoch > 0 for session in answer.sessions)
                connected = await connected_at(reach, address, "alice", "carol", "bob")
                assert list(connected.connected) == [True, False, True]
                assert connected.from_routes == (address != leader)
            two.registration.opened("s4", "acme", "alice", "phone")
            await agree(reach, addresses, "alice", ("n2", "s2"), ("n2", "s4"))
            assert one.fenced == ["s1"]
            two.registration.closed("s2")
            await agree(reach, addresses, "alice", ("n2", "s4"))
        await agree(reach, addresses, "alice")


async def test_users_list_their_own_sessions_and_services_those_of_any_user(keys: Keys, stores: Stores) -> None:
    async with registry(keys, stores.urls) as a, mesh(keys) as reach:
        await leader_of(reach, [a.address])
        minter = keys.minter()
        async with gateway(reach, a.address, "n1") as one:
            one.registration.opened("s1", "default", "alice", "phone")
            one.registration.opened("s2", "acme", "alice", "phone")
            await agree(reach, [a.address], "alice", ("n1", "s2"))

            async def listed(token: str, user: str) -> list[str]:
                answer = await stub(reach, a.address).ListSessions(
                    pb.ListSessionsRequest(user=user), metadata=(("authorization", f"Bearer {token}"),)
                )
                return [session.session_id for session in answer.sessions]

            assert await listed(minter.mint_user("alice"), "alice") == ["s1"]
            assert await listed(minter.mint_user("alice", "acme"), "alice") == ["s2"]
            assert await listed(minter.mint_service("push"), "alice") == ["s1"]
            for nobody in ("alice", "carol"):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await listed(minter.mint_user("bob"), nobody)
                assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_registries_are_called_in_order_and_a_named_leader_first() -> None:
    class NotLeading(grpc.aio.AioRpcError):
        pass

    registries = RegistryEndpoints("a:1, b:1,c:1")
    assert registries.address() == "a:1"
    assert not registries.failed(ConnectionError())
    assert registries.address() == "b:1"
    assert [registries.failed() or registries.address() for _ in range(2)] == ["c:1", "a:1"]
    registries.use(["c:1", "a:1"])
    assert registries.address() == "a:1"
    registries.use(["x:1"])
    assert registries.address() == "x:1"


def test_short_leases_have_proportional_settings() -> None:
    assert QUICK.leader_seconds < QUICK.lease_seconds / 3
