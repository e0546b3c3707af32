"""Faults of engines and of the network to them; each asserts that the nodes were reached through the proxy."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import redis

from tests.faults.backends import Backends
from tests.faults.drive import Fault, Run

_REFUSED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def _backends(run: Run) -> Backends:
    assert run.cluster.backends is not None
    return run.cluster.backends


@asynccontextmanager
async def _through(run: Run, engine: str) -> AsyncIterator[Backends]:
    """A fault that only is one where the bytes go through the proxy, which is known once the nodes have ended."""
    found = _backends(run)
    run.proxied.add(engine)
    yield found
    await asyncio.to_thread(found.heal)


def poisoned(engine: str, *toxics: tuple[str, str, float, dict[str, int]]) -> Fault:
    """The network to an engine is slow, cuts connections, or swallows what it should carry."""

    async def fault(run: Run) -> None:
        async with _through(run, engine) as found:
            for kind, stream, toxicity, how in toxics:
                await asyncio.to_thread(found.poison, engine, kind, stream, toxicity, **how)
            await asyncio.sleep(run.plan.during)  # the time of the fault

    return fault


def unreachable(engine: str) -> Fault:
    """Connections are reset, and new ones refused."""

    async def fault(run: Run) -> None:
        async with _through(run, engine) as found:
            await asyncio.to_thread(found.cut, engine)
            await asyncio.sleep(run.plan.during)  # the time of the fault

    return fault


def paused(engine: str) -> Fault:
    """The server stands still: connections stay, nothing is answered."""

    async def fault(run: Run) -> None:
        server = _backends(run).servers[engine]
        server.pause()
        try:
            await asyncio.sleep(run.plan.during)  # the time of the fault
        finally:
            server.resume()

    return fault


def restarted(engine: str) -> Fault:
    """The server is killed and starts again after a while; Redis comes back empty."""

    async def fault(run: Run) -> None:
        server = _backends(run).servers[engine]
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(run.plan.during)  # the time of the fault
        await asyncio.to_thread(server.spawn)
        await asyncio.to_thread(server.wait_ready)

    return fault


async def node_lost(run: Run) -> None:
    """F7b: one of the three nodes of Cassandra is killed, and starts again on its data after a while.

    It is the first: clients begin there, and learn from it which nodes there are.
    """
    cluster = _backends(run).cluster
    assert cluster is not None
    node = cluster.nodes[0]
    await asyncio.to_thread(node.kill)
    run.mark("killed a node of Cassandra")
    before = run.load.tally.acked
    await asyncio.sleep(run.plan.during)  # the time of the fault
    rate = (run.load.tally.acked - before) / run.plan.during
    run.notes.append(f"{rate:.0f} acked a second without it")
    # Not in a thread: the process would end with that.
    node.spawn()
    await asyncio.to_thread(node.wait_ready)
    await asyncio.to_thread(cluster.wait_ok)
    run.mark("it is back")


async def outage_of_kafka(run: Run) -> None:
    """F5: Kafka is away for long. Changes are acked at the usual rate; what was held back is there soon after.

    The load ends before Kafka comes back, so the time to agree is that of the entries which have waited.
    """
    async with _through(run, "kafka") as found:
        await asyncio.to_thread(found.cut, "kafka")
        before = run.load.tally.acked
        await asyncio.sleep(run.plan.during)  # the time of the fault
        acked = run.load.tally.acked - before
        await run.load.finish(run.plan.patience)
    rate = acked / run.plan.during
    run.notes.append(f"{rate:.0f} acked a second without it")
    if rate < run.plan.least:
        run.wrong.append(f"{rate:.0f} changes were acked a second while Kafka was away, {run.plan.least:.0f} are usual")


def told_redis(*commands: Callable[[redis.Redis], object]) -> Fault:
    """Somebody runs commands on Redis, three times."""

    async def fault(run: Run) -> None:
        port = _backends(run).servers["redis"].port
        with redis.Redis(port=port) as client:
            for _ in range(3):
                for command in commands:
                    await asyncio.to_thread(command, client)
                await asyncio.sleep(run.plan.during / 3)  # the time of the fault

    return fault


def refusing_nothing(fault: Fault) -> Fault:
    """A fault of something derived: while it lasts, no change is refused, and none has an unknown outcome."""

    async def watched(run: Run) -> None:
        before = Counter(run.load.tally.reasons)
        await fault(run)
        refused = run.load.tally.reasons - before
        run.wrong += [
            f"{times} changes were answered {what}" for what, times in refused.items() if _REFUSED & {*what.split()}
        ]

    return watched


async def flushed_at_rest(run: Run) -> None:
    """Redis loses everything when nothing changes any more: only a rebuild brings it back."""
    await run.load.finish(run.plan.patience)
    await told_redis(lambda client: client.flushall())(run)


async def zombie(run: Run) -> None:
    """F6: a consumer stands still beyond its lease, its partitions are folded elsewhere, and it comes back."""
    nodes = [run.cluster.of("counter_svc")[0], run.cluster.of("fanout_svc")[0]]
    for node in nodes:
        node.freeze()
    try:
        await asyncio.sleep(run.plan.during)  # longer than the lease
    finally:
        for node in nodes:
            node.thaw()
