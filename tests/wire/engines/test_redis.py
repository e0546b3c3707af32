"""Redis through the pool: the errors of failures, refused calls, restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.server import free_port
from kit.adapters.redis.client import ServerInfo
from kit.adapters.redis.engine import Redis, Script, open_redis
from kit.engine_url import CannotUse
from kit.errors import OutcomeUnknown, Unavailable
from tests.ownredis import OwnRedis, own_redis
from tests.proxy import TcpProxy, tcp_proxy

_TIMEOUT = 10.0


@pytest.fixture(name="server")
def fixture_server() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


@asynccontextmanager
async def redis_behind_proxy(
    server: OwnRedis, *, timeout: float = 0.2, connections: int = 4
) -> AsyncIterator[tuple[Redis, TcpProxy]]:
    async with (
        tcp_proxy(server.port) as proxy,
        open_redis(f"redis://127.0.0.1:{proxy.port}/0?prefix=t:", timeout=timeout, connections=connections) as redis,
    ):
        yield redis, proxy


async def owner_groups(redis: Redis, *commands: str, transaction: bool = True) -> list[Any]:
    """The answers to commands of one pipeline."""
    pipeline = redis.client.pipeline(transaction)
    for command in commands:
        await pipeline.execute_command(*command.split())
    return await pipeline.execute()


async def answers_again(redis: Redis) -> None:
    """Waits until a call succeeds."""
    async with asyncio.timeout(_TIMEOUT):
        while True:
            try:
                await redis.client.execute_command("PING")
                return
            except Unavailable as refusal:
                await asyncio.sleep(refusal.retry_after or 0.01)


async def test_a_script_that_the_server_does_not_have_is_loaded_again(server: OwnRedis, tmp_path: Path) -> None:
    (tmp_path / "add.lua").write_text("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    async with open_redis(server.url) as redis:
        add = redis.script(tmp_path / "add.lua")
        assert await add([redis.key("n")], [2]) == 2
        await redis.client.script_flush()
        assert await add([redis.key("n")], [3]) == 5
        assert await redis.client.get(b"t:n") == b"5"


async def test_a_change_whose_answer_is_lost_is_unknown_and_a_read_is_not(server: OwnRedis) -> None:
    async with redis_behind_proxy(server) as (redis, proxy):
        await redis.client.set("a", 1)
        proxy.cut_after_request = True
        with pytest.raises(OutcomeUnknown):
            await redis.client.incr("a")
        proxy.cut_after_request = False
        assert await redis.client.get("a") == b"2"
        proxy.cut_after_request = True
        with pytest.raises(Unavailable):
            await redis.client.get("a")


async def test_a_pipeline_whose_answer_is_lost_is_unknown(server: OwnRedis) -> None:
    async with redis_behind_proxy(server) as (redis, proxy):
        proxy.cut_after_request = True
        with pytest.raises(OutcomeUnknown):
            await owner_groups(redis, "INCR a", "INCR b")
        proxy.cut_after_request = False
        assert await owner_groups(redis, "GET a", "GET b") == [b"1", b"1"]


async def test_connections_that_broke_while_idle_are_no_failure(server: OwnRedis) -> None:
    async with redis_behind_proxy(server) as (redis, proxy):
        await redis.client.set("a", 1)
        proxy.cut()
        async with asyncio.timeout(_TIMEOUT):
            while proxy.open:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert await redis.client.incr("a") == 2


async def test_a_call_without_a_listening_server_changes_nothing(server: OwnRedis) -> None:
    async with open_redis(server.url) as redis:
        server.kill()
        with pytest.raises((Unavailable, OutcomeUnknown)):  # the idle connection may not have noticed yet
            await redis.client.incr("a")
        for _ in range(3):
            with pytest.raises(Unavailable):
                await redis.client.incr("a")


async def test_silence_opens_the_breaker_within_a_second_and_it_recovers_by_itself(server: OwnRedis) -> None:
    async with redis_behind_proxy(server, timeout=0.5) as (redis, proxy):
        proxy.answers.clear()
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await redis.client.incr("a")
        while not redis.client.breaker.is_open():  # one caller, each call ending in its timeout
            with pytest.raises((OutcomeUnknown, Unavailable)):
                await redis.client.incr("a")
        assert time.monotonic() - began < 1.5, "a second after the first failure at most"
        began = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer"):
            await redis.client.incr("a")
        assert time.monotonic() - began < 0.1, "refused without a wait"
        proxy.answers.set()
        await answers_again(redis)
        assert not redis.client.breaker.is_open()


async def test_a_paused_server_is_not_called_and_is_used_again_later(server: OwnRedis) -> None:
    async with open_redis(server.url, timeout=0.1) as redis:
        server.pause()
        async with asyncio.timeout(_TIMEOUT):
            while not redis.client.breaker.is_open():
                await asyncio.gather(*[redis.client.incr("a") for _ in range(8)], return_exceptions=True)
        server.resume()
        await answers_again(redis)


async def test_connections_are_bounded_and_no_caller_waits_without_a_limit(
    server: OwnRedis,
) -> None:
    async with redis_behind_proxy(server, connections=3) as (redis, proxy):
        await asyncio.gather(*[redis.client.incr("a") for _ in range(50)])
        assert proxy.most <= 3
        proxy.answers.clear()
        async with asyncio.timeout(_TIMEOUT):
            failures = await asyncio.gather(*[redis.client.incr("a") for _ in range(50)], return_exceptions=True)
        assert {type(failure) for failure in failures} == {OutcomeUnknown, Unavailable}
        assert proxy.most <= 3
        proxy.answers.set()
        await answers_again(redis)
        for _ in range(50):
            await redis.client.incr("b")
        assert await redis.client.get("b") == b"50"


async def test_the_answer_to_an_abandoned_call_is_never_returned_to_another_call(server: OwnRedis) -> None:
    async with redis_behind_proxy(server, timeout=5.0, connections=1) as (redis, proxy):
        await redis.client.set("a", "first")
        proxy.answers.clear()
        asking = asyncio.create_task(redis.client.execute_command("GET", "a"))
        done, _ = await asyncio.wait([asking], timeout=0.05)
        assert not done
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        proxy.answers.set()
        assert await redis.client.get("b") is None


async def test_a_restarted_server_is_detected_before_a_write(server: OwnRedis) -> None:
    async with open_redis(server.url) as redis:
        before = redis.run_id()
        await redis.client.set("a", 1)
        assert (len(before), redis.run_id()) == (40, before)
        server.restart()
        await answers_again(redis)
        assert redis.run_id() not in ("", before)
        assert await redis.client.get("a") is None


async def test_a_change_at_a_replica_is_refused_without_effect(server: OwnRedis) -> None:
    async with open_redis(server.url) as redis:
        server.send("REPLICAOF", "127.0.0.1", str(free_port()))
        with pytest.raises(Unavailable, match="cannot serve"):
            await redis.client.incr("a")
        server.send("REPLICAOF", "NO", "ONE")
        await answers_again(redis)
        assert await redis.client.incr("a") == 1


async def test_a_full_server_refuses_changes_and_answers_reads(server: OwnRedis) -> None:
    async with open_redis(server.url) as redis:
        await redis.client.set("a", 1)
        server.send("CONFIG", "SET", "maxmemory", "1")
        add = Script(redis.client, "add.lua", "return redis.call('INCR', KEYS[1])")
        for _ in range(6):
            with pytest.raises(Unavailable):
                await redis.client.set("b", "x")
            with pytest.raises(Unavailable):
                await add(["a"], [])
        assert await redis.client.get("a") == b"1"


async def test_a_script_that_fails_half_way_is_unknown(server: OwnRedis) -> None:
    half = "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[1], 1)"
    async with open_redis(server.url) as redis:
        with pytest.raises(OutcomeUnknown):
            await Script(redis.client, "half.lua", half)(["a"], [])
        assert await redis.client.get("a") == b"1"
        with pytest.raises(Unavailable):
            await redis.client.execute_command("LPUSH", "a", 1)
        with pytest.raises(Unavailable):
            await owner_groups(redis, "SET b 1", "NOSUCHCOMMAND")
        assert await redis.client.get("b") is None, "the transaction was not begun"
        with pytest.raises(OutcomeUnknown):
            await owner_groups(redis, "SET b 1", "LPUSH a 1", transaction=False)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/0", "redis://"),
        ("redis://127.0.0.1:1,127.0.0.1:2/0", "reached"),
        ("redis://127.0.0.1:1/zero", "number"),
        ("redis://127.0.0.1:1/0?prefix={x}", "prefix"),
        ("redis://127.0.0.1:1/0?prefx=x", "prefx"),
        ("redis://127.0.0.1:1/0", "reached"),
    ],
)
async def test_a_url_without_a_server_is_refused_in_one_line(url: str, why: str) -> None:
    with pytest.raises(CannotUse, match=why) as refusal:
        async with open_redis(url):
            pass
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "ready", "why"),
    [
        (("--maxmemory-policy", "allkeys-lru"), b"+PONG", "noeviction"),
        (("--replicaof", "127.0.0.1", "1"), b"+PONG", "replica"),
        (("--cluster-enabled", "yes", "--cluster-config-file", ""), b"+PONG", "Cluster has any slots"),
        (("--requirepass", "secret"), b"-NOAUTH", "[Aa]uthentication"),
    ],
)
async def test_a_server_whose_configuration_breaks_our_guarantees_is_refused(
    options: tuple[str, ...], ready: bytes, why: str, tmp_path: Path
) -> None:
    options = tuple(str(tmp_path / "nodes.conf") if option == "" else option for option in options)
    with own_redis(*options, ready=ready) as server, pytest.raises(CannotUse, match=why):
        async with open_redis(server.url):
            pass


async def test_a_password_opens_a_locked_server() -> None:
    with own_redis("--requirepass", "p@ss:word", ready=b"-NOAUTH") as server:
        async with open_redis(f"redis://:p%40ss%3Aword@127.0.0.1:{server.port}/3") as redis:
            assert await redis.client.execute_command("PING")


async def test_an_old_server_is_refused(server: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ServerInfo.read

    async def read_of_an_old_one(self: ServerInfo, connection: object) -> None:
        await read(self, connection)
        self.version = (6, 0, 16)

    monkeypatch.setattr(ServerInfo, "read", read_of_an_old_one)
    with pytest.raises(CannotUse, match=r"6\.0\.16.*6\.2"):
        async with open_redis(server.url):
            pass


names = st.lists(st.text(alphabet="ab:%{}A3", max_size=4), min_size=1, max_size=3)


@given(names, names)
def test_no_two_names_have_the_same_key(one: list[str], other: list[str]) -> None:
    redis = Redis(None, list, "t:")  # type: ignore[arg-type]
    assert (redis.key(*one) == redis.key(*other)) == (one == other)
    assert "{" not in redis.key(*one)
