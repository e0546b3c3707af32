"""Several counter nodes with their log, records and shared counts, and checks of their counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from counter_svc.adapters.redis_counts import RedisCounts
from counter_svc.config import Config
from kit.adapters.kafka.event_log import open_kafka
from kit.adapters.redis.engine import Redis, open_redis
from kit.auth.keys import open_keys
from kit.errors import OutcomeUnknown, Unavailable
from kit.tenant_keys import TargetKey
from tests.engines import Engines
from tests.flows.counting.counters import CounterCluster, counter_cluster
from tests.flows.crowd import TOPIC
from tests.topics import topics

PARTITIONS = 8
KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(40)]
QUICK = Config(drift_seconds=0, watch_seconds=0.001)
Opener = Callable[..., AbstractAsyncContextManager[CounterCluster]]


@pytest.fixture(name="redis")
async def fixture_redis(engines: Engines) -> AsyncIterator[Redis]:
    async with open_redis(engines.redis()) as redis:
        yield redis
        await lose(redis)


@pytest.fixture(name="begin")
def fixture_begin(tmp_path: Path, engines: Engines, redis: Redis) -> Opener:
    @asynccontextmanager
    async def begun(config: Config, hot: Redis = redis) -> AsyncIterator[CounterCluster]:
        wanted = {TOPIC: PARTITIONS}
        async with (
            topics(engines.kafka(), wanted) as url,
            open_kafka(url, wanted) as log,
            counter_cluster(tmp_path, open_keys(tmp_path / "keys"), log, config, hot) as here,
        ):
            yield here

    return begun


async def lose(redis: Redis) -> None:
    """All that Redis has of ours, as FLUSHALL would."""
    names = [name async for name in redis.client.scan_iter(match=redis.prefix + "*", count=1_000)]
    if names:
        await redis.client.delete(*names)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"plaudit_counter_{name}", labels) or 0


async def assert_exact(here: CounterCluster, keys: list[TargetKey] = KEYS) -> None:
    """Every node answers what the records say."""
    versions = [here.crowd.versions[key] for key in keys]
    truth = {key: here.crowd.truth(key) for key in keys}
    for node in here.nodes:
        assert await node.get(keys, versions) == truth


async def are_shared(shared: RedisCounts, here: CounterCluster, keys: list[TargetKey]) -> bool:
    try:
        found = await shared.get(keys)
    except (Unavailable, OutcomeUnknown):
        return False
    return all(
        key in found and (found[key].version, dict(found[key].reactions)) == here.crowd.truth(key)
        for key in keys
        if here.crowd.versions[key]
    )
