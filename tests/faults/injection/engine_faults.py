"""Faults of engines and of the network to them; a trial fails if no bytes went through the proxy of the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import redis

from tests.faults.system.backends import Backends
from tests.faults.trial import Fault, TrialRun

_REFUSED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def _backends(run: TrialRun) -> Backends:
    assert run.cluster.backends is not None
    return run.cluster.backends


@asynccontextmanager
async def _proxy_fault(run: TrialRun, engine: str) -> AsyncIterator[Backends]:
    """A fault in the proxy of an engine; the runner checks afterwards that bytes went through it."""
    found = _backends(run)
    run.proxied.add(engine)
    yield found
    await asyncio.to_thread(found.reset)


def with_toxics(engine: str, *toxics: tuple[str, str, float, dict[str, int]]) -> Fault:
    """The network to an engine is slow, resets connections or loses data."""

    async def fault(run: TrialRun) -> None:
        async with _proxy_fault(run, engine) as found:
            for kind, stream, toxicity, how in toxics:
                await asyncio.to_thread(found.add_toxic, engine, kind, stream, toxicity, **how)
            await asyncio.sleep(run.plan.during)  # the time of the fault

    return fault


def unreachable(engine: str) -> Fault:
    """Connections are reset, and new ones refused."""

    async def fault(run: TrialRun) -> None:
        async with _proxy_fault(run, engine) as found:
            await asyncio.to_thread(found.disconnect, engine)
            await asyncio.sleep(run.plan.during)  # the time of the fault

    return fault


def paused(engine: str) -> Fault:
    """The server is paused: connections stay open without answers."""

    async def fault(run: TrialRun) -> None:
        server = _backends(run).servers[engine]
        server.pause()
        try:
            await asyncio.sleep(run.plan.during)  # the time of the fault
        finally:
            server.resume()

    return fault


def restarted(engine: str) -> Fault:
    """The server is killed and starts again after a while; Redis comes back empty."""

    async def fault(run: TrialRun) -> None:
        server = _backends(run).servers[engine]
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(run.plan.during)  # the time of the fault
        await asyncio.to_thread(server.spawn)
        await asyncio.to_thread(server.wait_ready)

    return fault


async def node_lost(run: TrialRun) -> None:
    """F7b: one of the three nodes of Cassandra is killed, and starts again on its data after a while.

    It is the contact point of the clients, from which they learn the other nodes.
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
    # Not in a thread: the process would end with it.
    node.spawn()
    await asyncio.to_thread(node.wait_ready)
    await asyncio.to_thread(cluster.wait_ok)
    run.mark("it is back")


async def outage_of_kafka(run: TrialRun) -> None:
    """F5: Kafka is unreachable for long. Changes are acked at the usual rate; delayed entries arrive soon after.

    The load ends before Kafka is back, so the time to agreement is that of the delayed entries.
    """
    async with _proxy_fault(run, "kafka") as found:
        await asyncio.to_thread(found.disconnect, "kafka")
        before = run.load.tally.acked
        await asyncio.sleep(run.plan.during)  # the time of the fault
        acked = run.load.tally.acked - before
        await run.load.finish(run.plan.settle_timeout)
    rate = acked / run.plan.during
    run.notes.append(f"{rate:.0f} acked a second without it")
    if rate < run.plan.least:
        run.wrong.append(f"{rate:.0f} changes were acked a second while Kafka was away, {run.plan.least:.0f} are usual")


def redis_commands(*commands: Callable[[redis.Redis], object]) -> Fault:
    """Runs commands on Redis, three times."""

    async def fault(run: TrialRun) -> None:
        port = _backends(run).servers["redis"].port
        with redis.Redis(port=port) as client:
            for _ in range(3):
                for command in commands:
                    await asyncio.to_thread(command, client)
                await asyncio.sleep(run.plan.during / 3)  # the time of the fault

    return fault


def without_refusals(fault: Fault) -> Fault:
    """A fault of derived data: while it lasts, no change is refused or has an unknown outcome."""

    async def watched(run: TrialRun) -> None:
        before = Counter(run.load.tally.reasons)
        await fault(run)
        refused = run.load.tally.reasons - before
        run.wrong += [
            f"{times} changes were answered {what}" for what, times in refused.items() if _REFUSED & {*what.split()}
        ]

    return watched


async def flushed_at_rest(run: TrialRun) -> None:
    """Redis loses all data after the load has ended: only a rebuild restores it."""
    await run.load.finish(run.plan.settle_timeout)
    await redis_commands(lambda client: client.flushall())(run)


async def zombie(run: TrialRun) -> None:
    """F6: a consumer is paused beyond its lease, other nodes take its partitions, and it resumes."""
    nodes = [run.cluster.nodes_of("counter_svc")[0], run.cluster.nodes_of("fanout_svc")[0]]
    for node in nodes:
        node.pause()
    try:
        await asyncio.sleep(run.plan.during)  # longer than the lease
    finally:
        for node in nodes:
            node.resume()
