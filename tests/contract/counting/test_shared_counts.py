"""What every place must do where nodes read counts that others fold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from counter_svc.adapters.redis_counts import RedisCounts
from counter_svc.domain import Totals
from counter_svc.ports import SharedCounts
from kit.adapters.redis.engine import Redis, open_redis
from kit.tenant_keys import TargetKey
from tests.engines import Engines

A: TargetKey = ("default", "messages/a")
B: TargetKey = ("default", "messages/b")
OTHER_TENANT: TargetKey = ("acme", "messages/a")


class SharedCountsContract:
    """Any engine: a subclass gives `shared`, and `lose` as all of it is lost."""

    @pytest.fixture
    def shared(self) -> SharedCounts:
        raise TypeError("a subclass gives the engine")

    async def lose(self) -> None:
        raise NotImplementedError

    async def test_there_are_no_counts_at_first(self, shared: SharedCounts) -> None:
        assert await shared.get([A, B]) == {}

    async def test_written_counts_are_read(self, shared: SharedCounts) -> None:
        values = {A: Totals(3, (("👍", 2), (":party_parrot:", 1))), B: Totals(9, ())}
        await shared.put(values)
        assert await shared.get([B, OTHER_TENANT, A]) == values

    async def test_newer_counts_replace_older_ones_and_older_ones_never_newer_ones(self, shared: SharedCounts) -> None:
        older, newer = Totals(9, (("👍", 2), ("❤", 1))), Totals(10, (("❤", 1),))
        await shared.put({A: older, B: newer})
        await shared.put({A: newer, B: older})
        assert await shared.get([A, B]) == {A: newer, B: newer}

    async def test_versions_are_compared_to_the_last_digit(self, shared: SharedCounts) -> None:
        for version in (2**53 + 1, 2**53, 2**62 + 1, 2**62):
            await shared.put({A: Totals(version, (("👍", 1),))})
        assert await shared.get([A]) == {A: Totals(2**62 + 1, (("👍", 1),))}

    async def test_incorrect_counts_are_replaced_at_any_version(self, shared: SharedCounts) -> None:
        right = {A: Totals(5, (("👍", 1),)), B: Totals(9, (("❤", 1),))}
        await shared.put(dict.fromkeys(right, Totals(9, (("🐛", 7),))))
        await shared.put(right, [A, B])
        assert await shared.get([A, B]) == right

    async def test_restored_counts_do_not_replace_newer_ones(self, shared: SharedCounts) -> None:
        await shared.put({A: Totals(9, (("👍", 1),))})
        await shared.restore({A: Totals(8, ()), B: Totals(8, ())})
        assert await shared.get([A, B]) == {A: Totals(9, (("👍", 1),)), B: Totals(8, ())}

    async def test_counts_can_be_written_again_after_a_loss(self, shared: SharedCounts) -> None:
        values = {A: Totals(3, (("👍", 2),))}
        await shared.put(values)
        await self.lose()
        assert await shared.get([A]) == {}
        await shared.put(values)
        assert await shared.get([A]) == values

    async def test_a_thousand_targets_are_written_in_one_call(self, shared: SharedCounts) -> None:
        emoji = [(f":emoji-{n}:", 1) for n in range(20)]
        values = {("default", f"posts/{n}"): Totals(n + 1, tuple(emoji)) for n in range(1_000)}
        await shared.put(values)
        found = await shared.get(list(values))
        assert {key: (value.version, sorted(value.reactions)) for key, value in found.items()} == {
            key: (value.version, sorted(value.reactions)) for key, value in values.items()
        }


class TestRedisCounts(SharedCountsContract):
    @pytest.fixture(autouse=True)
    async def redis(self, engines: Engines) -> AsyncIterator[Redis]:
        async with open_redis(engines.redis()) as self._redis:
            yield self._redis
            await self.lose()

    @pytest.fixture
    def shared(self, redis: Redis) -> SharedCounts:
        return RedisCounts(redis, 3_600)

    async def lose(self) -> None:
        names = [name async for name in self._redis.client.scan_iter(match=self._redis.prefix + "*")]
        if names:
            await self._redis.client.delete(*names)

    async def test_a_target_is_a_hash_of_emoji_and_counts_that_expires(
        self, shared: SharedCounts, redis: Redis
    ) -> None:
        await shared.put({A: Totals(7, (("👍", 2),))})
        await shared.restore({B: Totals(7, ())})
        name = redis.prefix + "reaction_counts:{default/messages/a}"
        assert await redis.client.execute_command("HGETALL", name) == {b"version": b"7", "👍".encode(): b"2"}
        assert 3_590 < await redis.client.ttl(name) <= 3_600
        assert 50 < await redis.client.ttl(redis.prefix + "reaction_counts:{default/messages/b}") <= 60

    async def test_scripts_are_loaded_again_into_a_server_that_has_lost_them(
        self, shared: SharedCounts, redis: Redis
    ) -> None:
        await shared.put({A: Totals(1, ())})
        await redis.client.script_flush()
        await shared.put({A: Totals(2, ()), B: Totals(2, ())})
        assert await shared.get([A, B]) == {A: Totals(2, ()), B: Totals(2, ())}
