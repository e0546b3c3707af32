"""Faults of processes: killed, crashed at a point, stopped, paused; lost sockets and repeated requests."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tests.faults.mutants.crash_points import POINTS
from tests.faults.system.nodes import NodeProcess
from tests.faults.trial import Fault, TrialRun, background

_CRASH_SECONDS = 30.0  # batches are few where they are large
_NOTICE_SECONDS = 8.0
_CRASH_AT = {"reaction_svc": 25, "message_svc": 25, "counter_svc": 12, "fanout_svc": 15, "session_registry": 3}
STOP_SECONDS = 8.0
"""The grace of a node, and what a busy machine takes to end a process."""


async def no_fault(run: TrialRun) -> None:
    """No fault: only load."""
    await asyncio.sleep(run.plan.during)  # the time of the fault


def killed(service: str) -> Fault:
    """F1 and F2: a node of a service is killed, and restarts after a while."""

    async def fault(run: TrialRun) -> None:
        node = run.cluster.nodes_of(service)[0]
        run.killed.add(node.name)
        node.kill()
        run.mark(f"killed {node.name}")
        await asyncio.sleep(run.plan.during)  # the time of the fault
        await asyncio.to_thread(node.start)

    return fault


async def crash(run: TrialRun, node: NodeProcess, point: str) -> None:
    """Crashes a node at a point under load, and restarts it."""
    await asyncio.to_thread(node.kill)
    node.mutants = f"crash:{point}:{_CRASH_AT[POINTS[point].service]}"
    await asyncio.to_thread(node.start)
    if POINTS[point].service == "session_registry":  # only a leader reaches the point
        for other in run.cluster.nodes_of("session_registry"):
            if other is not node:
                await asyncio.to_thread(other.kill)
                await asyncio.to_thread(other.start)
    run.mark(f"{node.name} dies {point}")
    try:
        code = await asyncio.to_thread(node.wait, _CRASH_SECONDS)
    except subprocess.TimeoutExpired:
        run.wrong.append(f"{node.name} never reached {point}")
        code = -9
        node.kill()
    if code != -9:
        run.wrong.append(f"{node.name} ended with {code} at {point}")
    node.mutants = ""
    await asyncio.to_thread(node.start)


def crash_at_each_point(service: str, points: Sequence[str] = ()) -> Fault:
    """F2: one node of a service crashes at each of its crash points in turn."""

    async def fault(run: TrialRun) -> None:
        node = run.cluster.nodes_of(service)[0]
        for point in points or run.cluster.crash_points(service):
            await crash(run, node, point)
        run.notes.append(f"{len(node.exits)} crashes")

    return fault


async def duplicates_during_restarts(run: TrialRun) -> None:
    """F11: nodes restart while operations are repeated and shuffled."""
    for node in run.cluster.nodes_of(run.plan.writer):
        node.kill()
        await asyncio.to_thread(node.start)
    await asyncio.sleep(run.plan.during / 2)  # the time of the fault


async def stopped(run: TrialRun, nodes: Sequence[NodeProcess]) -> None:
    """F15: nodes get SIGTERM one after the other, and restart."""
    for node in nodes:
        code, seconds = await asyncio.to_thread(node.stop)
        run.mark(f"stopped {node.name}")
        if code != 0:
            run.wrong.append(f"{node.name} ended with {code} after SIGTERM")
        if seconds > STOP_SECONDS:
            run.wrong.append(f"{node.name} took {seconds:.1f} s to stop")
        await asyncio.to_thread(node.start)


def graceful_stop(service: str) -> Fault:
    """F15 for the nodes of a service."""

    async def fault(run: TrialRun) -> None:
        await stopped(run, run.cluster.nodes_of(service)[:1])

    return fault


async def claimed_twice(run: TrialRun) -> None:
    """F17: a gateway is paused beyond its lease, its devices log in at another one, and it resumes."""
    frozen, other = run.cluster.gateways[:2]
    twins = [run.twin(n, frozen) for n in range(3)]
    async with background([one.run() for one in twins]):
        await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in twins)), 10)
        frozen.pause()
        run.mark(f"froze {frozen.name}")
        elsewhere = [run.twin(n, other) for n in range(3)]
        async with background([one.run() for one in elsewhere]):
            await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in elsewhere)), 10)
            await asyncio.sleep(run.plan.during)  # longer than the lease
            frozen.resume()
            run.mark(f"thawed {frozen.name}")
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(one.replaced.wait() for one in twins)), _NOTICE_SECONDS)
            still = [one.name for one in twins if not one.replaced.is_set()]
            if still:
                run.wrong.append(f"still not closed as replaced: {still}, codes {[one.close_codes for one in twins]}")
            for one in elsewhere:
                if not one.ready.is_set():
                    run.wrong.append(f"{one.name}, the newest session, was closed with {one.close_codes}")


async def sockets_lost(run: TrialRun) -> None:
    """All sockets of changing users are lost, several times; they resume."""
    for _ in range(3):
        await asyncio.gather(*(client.close_socket() for client in run.ws_clients))
        await asyncio.sleep(run.plan.during / 3)  # the time of the fault


async def logged_in_again(run: TrialRun) -> None:
    """A device logs in at a second gateway while its first session is open."""
    first, other = run.cluster.gateways[:2]
    one, two = run.twin(0, first), run.twin(0, other)
    async with background([one.run()]):
        await asyncio.wait_for(one.ready.wait(), 10)
        await asyncio.sleep(1.5)  # so that the order of the logins is certain
        async with background([two.run()]):
            await asyncio.wait_for(two.ready.wait(), 10)
            await asyncio.sleep(run.plan.during)  # the time of the fault
