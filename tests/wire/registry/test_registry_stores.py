"""Registries while Redis or Cassandra is empty or away."""

from __future__ import annotations

import time

from kit.auth.keys import Keys
from tests.ownredis import own_redis
from tests.registryprocess import QUICK
from tests.wire.registry.registering import until, watching
from tests.wire.registry.registries import (
    Stores,
    agree,
    fixture_folder,
    fixture_keys,
    fixture_keyspace,
    fixture_stores,
    leader_of,
    observed_nodes,
    two_gateways,
    two_registries,
)

__all__ = ["fixture_folder", "fixture_keys", "fixture_keyspace", "fixture_stores"]


async def test_a_flushed_redis_is_filled_again_without_effects_on_readers(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), observed_nodes(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            epochs = (one.registration.epoch, two.registration.epoch)
            stores.redis.send("FLUSHALL")
            await agree(reach, addresses, "alice", ("n1", "s1"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            assert await leader_of(reach, addresses) == leader
            assert (one.registration.epoch, two.registration.epoch) == epochs, "nobody had to attach again"
            assert seen.seen == {("n1:1", "n2:1")}


async def test_the_leader_continues_while_redis_is_unavailable_and_routes_are_restored_afterwards(
    keys: Keys, stores: Stores
) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), observed_nodes(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            epochs = (one.registration.epoch, two.registration.epoch)
            stores.redis.kill()
            two.registration.opened("s3", "acme", "alice", "phone")
            one.registration.subscribe("acme", "messages/1")
            await until(lambda: one.fenced == ["s1"])
            await agree(reach, [leader], "alice", ("n2", "s3"))
            away = time.monotonic() + 2 * QUICK.leader_seconds
            await until(lambda: time.monotonic() > away)
            assert await leader_of(reach, addresses) == leader
            async with watching(reach, leader) as watcher:
                assert watcher.interests == {("n1", "messages/1")}
            stores.redis.start()
            await agree(reach, addresses, "alice", ("n2", "s3"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            assert (one.registration.epoch, two.registration.epoch) == epochs, "nobody had to attach again"
            assert seen.seen == {("n1:1", "n2:1")}


async def test_without_cassandra_and_redis_no_registry_leads_and_afterwards_all_state_is_restored(
    keys: Keys,
) -> None:
    with own_redis() as redis:
        stores = Stores(redis, "")
        await no_registry_leads_while_redis_is_away(keys, stores)


async def no_registry_leads_while_redis_is_away(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), observed_nodes(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            before = max(one.registration.epoch, two.registration.epoch)
            stores.redis.kill()
            await until(lambda: not one.registration.is_attached() and not two.registration.is_attached())
            two.registration.opened("s3", "acme", "alice", "phone")
            stores.redis.start()
            await agree(reach, addresses, "alice", ("n2", "s3"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            await until(lambda: one.fenced == ["s1"])
            assert min(one.registration.epoch, two.registration.epoch) > before
            assert seen.seen == {("n1:1", "n2:1")}, "services stay reachable"
