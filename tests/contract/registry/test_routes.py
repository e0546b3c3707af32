"""The promises of `session_registry.ports.Routes`, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from engines.redis_cluster import SLOTS, redis_cluster
from kit.adapters.redis.engine import Redis, open_redis
from kit.errors import OutcomeUnknown, Unavailable
from session_registry.adapters.redis_routes import RedisRoutes
from session_registry.domain import Node, Session, Term
from session_registry.ports import NodeChange, Route, Written
from tests.engines import Engines

TERM, LATER = Term(100), Term(200)
N1, N2 = Node("n1", "n1:1", ("a.Service", "b.Service"), 101), Node("n2", "n2:1", (), 102)


@pytest.fixture(name="redis", params=["one server", "a cluster"])
async def fixture_redis(request: pytest.FixtureRequest, engines: Engines) -> AsyncIterator[Redis]:
    url = engines.redis() if request.param == "one server" else engines.redis_cluster()
    async with open_redis(url) as redis:
        yield redis
        await forget_all(redis)


async def forget_all(redis: Redis) -> None:
    """The keys of this test are lost."""
    async for name in redis.client.scan_iter(match=redis.prefix + "*", count=1_000):
        await redis.client.delete(name)


@pytest.fixture(name="routes")
async def fixture_routes(redis: Redis) -> RedisRoutes:
    """With two nodes, in a term that has begun."""
    routes = RedisRoutes(redis, keep=60.0)
    nodes = [NodeChange(N1, True), NodeChange(N2, True)]
    assert await routes.write(TERM, nodes, [], begin=True) is Written.DONE
    return routes


async def begins(redis: Redis, term: Term, *nodes: Node) -> RedisRoutes:
    """Another leader has begun to write."""
    routes = RedisRoutes(redis, keep=60.0)
    assert await routes.write(term, [NodeChange(node, True) for node in nodes], [], begin=True) is Written.DONE
    return routes


def on(node: Node, session_id: str, epoch: int, device: str = "phone", *, live: bool = True) -> Route:
    return Route(Session(session_id, "acme", "alice", device, node.node_id, epoch), node.epoch, live)


async def found(routes: RedisRoutes) -> list[tuple[str, str, str, int]]:
    sessions = await routes.sessions_of("acme", "alice")
    return [(one.node_id, one.session_id, one.device, one.epoch) for one in sessions]


async def test_routes_are_read_as_they_were_written_oldest_first(routes: RedisRoutes) -> None:
    changes = [on(N2, "s2", 120, "laptop"), on(N1, "s1", 110), on(N1, "s3", 130, ""), on(N1, "s4", 140, "")]
    assert await routes.write(TERM, [], changes) is Written.DONE
    assert await found(routes) == [
        ("n1", "s1", "phone", 110),
        ("n2", "s2", "laptop", 120),
        ("n1", "s3", "", 130),
        ("n1", "s4", "", 140),
    ]
    assert await routes.sessions_of("other", "alice") == []


async def test_the_larger_epoch_of_a_device_stays_in_any_order_of_reports(routes: RedisRoutes) -> None:
    await routes.write(TERM, [], [on(N2, "s2", 120)])
    await routes.write(TERM, [], [on(N1, "s1", 110)])
    assert await found(routes) == [("n2", "s2", "phone", 120)]
    await routes.write(TERM, [], [on(N1, "s1", 110, live=False)])
    assert await found(routes) == [("n2", "s2", "phone", 120)], "the fenced one takes nothing away"
    await routes.write(TERM, [], [on(N2, "s2", 120, live=False)])
    assert await found(routes) == []


async def test_a_repeated_write_changes_nothing(routes: RedisRoutes) -> None:
    for _ in range(2):
        assert await routes.write(TERM, [NodeChange(N1, True)], [on(N1, "s1", 110)]) is Written.DONE
    assert await found(routes) == [("n1", "s1", "phone", 110)]


async def test_a_route_is_removed_with_its_node(routes: RedisRoutes) -> None:
    await routes.write(TERM, [], [on(N1, "s1", 110), on(N2, "s2", 120, "laptop")])
    await routes.write(TERM, [NodeChange(N1, False)], [])
    assert await found(routes) == [("n2", "s2", "laptop", 120)]


async def test_sessions_that_a_node_does_not_report_again_are_removed(routes: RedisRoutes) -> None:
    again = Node("n1", "n1:1", (), 150)
    await routes.write(TERM, [], [on(N1, "s1", 110), on(N1, "s2", 120, "laptop")])
    await routes.write(TERM, [NodeChange(again, True)], [on(again, "s2", 120, "laptop")])
    assert await found(routes) == [("n1", "s2", "laptop", 120)]


async def test_a_deposed_leader_writes_no_routes(routes: RedisRoutes, redis: Redis) -> None:
    await begins(redis, LATER, N1, N2)
    late = [on(N1, "s1", 999)]
    assert await routes.write(TERM, [NodeChange(N1, False)], late) is Written.DEPOSED
    assert await routes.write(TERM, [], late, begin=True) is Written.DEPOSED
    assert await found(routes) == []
    assert {node.node_id for node in await routes.nodes()} == {"n1", "n2"}


async def test_the_next_leader_finds_the_nodes_and_the_routes(routes: RedisRoutes, redis: Redis) -> None:
    await routes.write(TERM, [], [on(N1, "s1", 110)])
    nodes = await routes.nodes()
    assert sorted(nodes, key=lambda node: node.node_id) == [N1, N2]
    assert await routes.write(LATER, [], []) is Written.LOST, "it has not begun"
    await routes.write(LATER, [NodeChange(node, True) for node in nodes], [], begin=True)
    assert await found(routes) == [("n1", "s1", "phone", 110)]


async def test_a_deposed_leader_changes_no_routes_of_a_user_that_a_later_one_wrote(
    routes: RedisRoutes, redis: Redis
) -> None:
    again = Node("n1", "n1:1", (), 210)
    later = await begins(redis, LATER, again)
    await later.write(LATER, [], [on(again, "s1", 110)])
    await redis.client.delete(redis.key("registry", "nodes"))  # so that nothing says of the nodes that it is deposed
    assert await routes.write(TERM, [], [on(N1, "s1", 110, live=False)], begin=True) is Written.DEPOSED
    await begins(redis, LATER, again)
    assert await found(later) == [("n1", "s1", "phone", 110)]


async def test_lost_routes_are_detected_and_changes_wait_for_the_full_rewrite(
    routes: RedisRoutes, redis: Redis
) -> None:
    await routes.write(TERM, [], [on(N1, "s1", 110)])
    await forget_all(redis)
    assert await routes.write(TERM, [], [on(N1, "s1", 110)]) is Written.LOST
    assert await found(routes) == []
    assert await routes.write(TERM, [NodeChange(N1, True)], [on(N1, "s1", 110)], begin=True) is Written.DONE
    assert await found(routes) == [("n1", "s1", "phone", 110)]


async def test_a_route_that_is_not_removed_expires(routes: RedisRoutes, redis: Redis) -> None:
    await routes.write(TERM, [], [on(N1, "s1", 110)])
    left = await redis.client.execute_command("PTTL", redis.key("route", "acme/alice"))
    assert 50_000 < left <= 60_000


async def test_five_hundred_routes_are_written_in_one_call(routes: RedisRoutes) -> None:
    changes = [Route(Session(f"s{i}", "acme", f"u{i}", "", "n1", 110), N1.epoch, True) for i in range(500)]
    assert await routes.write(TERM, [], changes) is Written.DONE
    assert len(await routes.sessions_of("acme", "u499")) == 1


async def test_a_restart_of_one_server_of_a_cluster_is_detected() -> None:
    with redis_cluster() as cluster:
        async with open_redis(cluster.url) as redis:
            routes = RedisRoutes(redis, keep=60.0)
            changes = [Route(Session(f"s{i}", "acme", f"u{i}", "", "n1", 110), N1.epoch, True) for i in range(30)]
            await routes.write(TERM, [NodeChange(N1, True)], changes, begin=True)
            has_nodes = key_slot(redis.key("registry", "nodes").encode()) * len(cluster.nodes) // SLOTS
            await asyncio.to_thread(cluster.restart, (has_nodes + 1) % len(cluster.nodes))
            async with asyncio.timeout(20):
                while await write_again(routes) is not Written.LOST:
                    pass
                while await write_again(routes, *changes, begin=True) is not Written.DONE:
                    pass
            for i in range(30):
                assert [one.session_id for one in await routes.sessions_of("acme", f"u{i}")] == [f"s{i}"]


async def write_again(routes: RedisRoutes, *changes: Route, begin: bool = False) -> Written | None:
    """What became of changes; None where a node cannot be reached."""
    try:
        return await routes.write(TERM, [NodeChange(N1, True)] if begin else [], changes, begin=begin)
    except (Unavailable, OutcomeUnknown):
        await asyncio.sleep(0.01)
        return None
