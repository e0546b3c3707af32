"""A Redis Cluster: every key at its node, redirections followed, and failures that say what was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from engines.redis_cluster import SLOTS, RedisCluster, RedisNode, redis_cluster
from engines.server import ask
from kit.adapters.redis.engine import Redis, Script, open_redis
from kit.engine_url import CannotUse
from kit.errors import OutcomeUnknown, Unavailable
from tests.ownredis import own_redis

TIMEOUT = 20.0


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster() -> Iterator[RedisCluster]:
    with redis_cluster() as cluster:
        yield cluster


@pytest.fixture(name="redis")
async def fixture_redis(cluster: RedisCluster) -> AsyncIterator[Redis]:
    async with open_redis(f"{cluster.url}?prefix=t:", timeout=0.3) as redis:
        await redis.client.flushall()
        yield redis


@pytest.fixture(name="add")
def fixture_add(redis: Redis, tmp_path: Path) -> Script:
    (tmp_path / "add.lua").write_text("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    return redis.script(tmp_path / "add.lua")


def number_of(key: str) -> int:
    """Which node has a key, while the slots are as they were at first."""
    return next(number for number in range(3) if key_slot(key.encode()) < (number + 1) * SLOTS // 3)


def key_at(redis: Redis, number: int) -> str:
    """A key of that node."""
    return next(key for key in (redis.key(f"k{i}") for i in range(1_000)) if number_of(key) == number)


def send_command(node: RedisNode, *words: str | int) -> bytes:
    return ask(node.port, " ".join(map(str, words)).encode() + b"\r\n", 3)


def id_of(node: RedisNode) -> str:
    return ask(node.port, b"CLUSTER MYID\r\n", 45).decode().split("\r\n")[1]


async def test_every_command_finds_the_node_of_its_key(redis: Redis, cluster: RedisCluster) -> None:
    keys = [redis.key(f"k{index}") for index in range(60)]
    for key in keys:
        await redis.client.set(key, key)
    assert [await redis.client.get(key) for key in keys] == [key.encode() for key in keys]
    assert {name async for name in redis.client.scan_iter(match="t:*")} == {key.encode() for key in keys}
    sizes = [ask(node.port, b"DBSIZE\r\n", 3) for node in cluster.nodes]
    assert all(size > b":0" for size in sizes)


async def test_one_name_of_the_cluster_is_enough_to_find_all_nodes(cluster: RedisCluster) -> None:
    async with open_redis(f"redis://127.0.0.1:{cluster.nodes[1].port}/0") as redis:
        assert len(redis.run_id().split()) == 3


async def test_calls_of_a_script_for_many_keys_are_answered_in_order(redis: Redis, add: Script) -> None:
    keys = [redis.key(f"k{index % 40}") for index in range(120)]
    assert await add.each([([key], [index]) for index, key in enumerate(keys)]) == [
        sum(range(index % 40, index + 1, 40)) for index in range(120)
    ]
    await redis.client.script_flush()
    assert await add.each([([key], [0]) for key in keys[:40]]) == [120 + 3 * index for index in range(40)]


async def test_a_slot_that_moved_is_followed(redis: Redis, cluster: RedisCluster, add: Script) -> None:
    key = key_at(redis, 0)
    slot, first, second = key_slot(key.encode()), cluster.nodes[0], cluster.nodes[1]
    assert await add([key], [1]) == 1
    await redis.client.delete(key)
    for node in cluster.nodes:
        assert send_command(node, "CLUSTER", "SETSLOT", slot, "NODE", id_of(second)) == b"+OK"
    try:
        assert await add([key], [2]) == 2
        assert await add.each([([key], [3]), ([key_at(redis, 2)], [7])]) == [5, 7]
        assert ask(second.port, f"EXISTS {key}\r\n".encode(), 2) == b":1"
    finally:
        await redis.client.delete(key)
        for node in cluster.nodes:
            send_command(node, "CLUSTER", "SETSLOT", slot, "NODE", id_of(first))


async def test_a_moving_slot_is_read_at_its_destination(redis: Redis, cluster: RedisCluster, add: Script) -> None:
    key = key_at(redis, 0)
    slot, first, second = key_slot(key.encode()), cluster.nodes[0], cluster.nodes[1]
    assert send_command(second, "CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(first)) == b"+OK"
    assert send_command(first, "CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(second)) == b"+OK"
    try:
        assert await redis.client.incrby(key, 5) == 5, "it is not at the first any more, so it is made at the second"
        assert await add([key], [2]) == 7
        assert await add.each([([key], [3]), ([key_at(redis, 2)], [7])]) == [10, 7]
        assert ask(first.port, b"DBSIZE\r\n", 2) == b":0"
    finally:
        await redis.client.delete(key)
        for node in (first, second):
            send_command(node, "CLUSTER", "SETSLOT", slot, "STABLE")


async def test_keys_of_several_slots_are_refused_without_effect(redis: Redis, add: Script) -> None:
    with pytest.raises(Unavailable, match="slot"):
        await add([key_at(redis, 0), key_at(redis, 1)], [1])
    assert await redis.client.get(key_at(redis, 0)) is None


async def test_while_a_node_hangs_the_others_continue(redis: Redis, cluster: RedisCluster, add: Script) -> None:
    here, there = key_at(redis, 0), key_at(redis, 1)
    await add.each([([here], [1]), ([there], [1])])
    cluster.nodes[1].pause()
    try:
        with pytest.raises(OutcomeUnknown):
            await add([there], [1])
        with pytest.raises(Unavailable):
            await redis.client.get(there)
        with pytest.raises(OutcomeUnknown):
            await add.each([([here], [1]), ([there], [1])])
        assert await add([here], [1]) == 3
    finally:
        cluster.nodes[1].resume()
    await asyncio.to_thread(cluster.wait_ok)
    await answers(redis, there)
    assert await redis.client.get(there) in (b"1", b"2", b"3")


async def test_a_restarted_node_is_detected_as_restarted(redis: Redis, cluster: RedisCluster) -> None:
    key = key_at(redis, 2)
    await redis.client.set(key, 1)
    before = redis.run_id()
    await asyncio.to_thread(cluster.restart, 2)
    await answers(redis, key)
    assert await redis.client.get(key) is None
    assert len(set(before.split()) & set(redis.run_id().split())) == 2


async def answers(redis: Redis, key: str) -> None:
    """Waits until the node of a key answers."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                await redis.client.get(key)
                return
            except Unavailable as refusal:
                await asyncio.sleep(refusal.retry_after or 0.01)


async def test_a_cluster_has_one_database(cluster: RedisCluster) -> None:
    with pytest.raises(CannotUse, match="database 0"):
        async with open_redis(f"redis://127.0.0.1:{cluster.nodes[0].port}/1"):
            pass


async def test_several_servers_that_are_no_cluster_are_refused() -> None:
    with own_redis() as one, own_redis() as two, pytest.raises(CannotUse, match="must be nodes of a Redis Cluster"):
        async with open_redis(f"redis://127.0.0.1:{one.port},127.0.0.1:{two.port}/0"):
            pass
