"""Faults of processes: killed, crashed at a step, stopped, frozen; and of clients that repeat themselves or stall."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tests.faults.buggy.crashing import POINTS
from tests.faults.drive import Fault, Run, background
from tests.faults.load import TARGETS
from tests.faults.nodes import Node
from tests.faults.phone import Phone

_CRASH_SECONDS = 30.0  # batches are few where they are large
_NOTICE_SECONDS = 8.0
_CRASH_AT = {"reaction_svc": 25, "counter_svc": 12, "fanout_svc": 15, "session_registry": 3}
STOP_SECONDS = 8.0
"""The grace of a node, and what a busy machine takes to end a process."""


async def gateway_killed(run: Run) -> None:
    """F1: a gateway is killed, and comes back after a while."""
    gateway = run.cluster.gateways[0]
    run.killed.add(gateway.name)
    gateway.kill()
    run.mark(f"killed {gateway.name}")
    await asyncio.sleep(run.plan.during)  # the time of the fault
    await asyncio.to_thread(gateway.start)


async def crash(run: Run, node: Node, point: str) -> None:
    """Has a node die at a point under load, and starts it again as it was."""
    await asyncio.to_thread(node.kill)
    node.spoil = f"crash:{point}:{_CRASH_AT[POINTS[point].service]}"
    await asyncio.to_thread(node.start)
    if POINTS[point].service == "session_registry":  # only one that leads comes by
        for other in run.cluster.of("session_registry"):
            if other is not node:
                await asyncio.to_thread(other.kill)
                await asyncio.to_thread(other.start)
    run.mark(f"{node.name} dies {point}")
    try:
        code = await asyncio.to_thread(node.wait, _CRASH_SECONDS)
    except subprocess.TimeoutExpired:
        run.wrong.append(f"{node.name} never came by {point}")
        code = -9
        node.kill()
    if code != -9:
        run.wrong.append(f"{node.name} ended with {code} at {point}")
    node.spoil = ""
    await asyncio.to_thread(node.start)


def crashes(service: str, points: Sequence[str] = ()) -> Fault:
    """F2: one node of a service dies at each of its steps, one after the other."""

    async def fault(run: Run) -> None:
        node = run.cluster.of(service)[0]
        for point in points or run.cluster.points(service):
            await crash(run, node, point)
        run.notes.append(f"{len(node.exits)} deaths")

    return fault


async def sent_again(run: Run) -> None:
    """F11: what is repeated and shuffled meets nodes that restart in between."""
    for node in run.cluster.of("reaction_svc"):
        node.kill()
        await asyncio.to_thread(node.start)
    await asyncio.sleep(run.plan.during / 2)  # the time of the fault


async def stopped(run: Run, nodes: Sequence[Node]) -> None:
    """F15: nodes are told to stop, one after the other, and started again."""
    for node in nodes:
        code, seconds = await asyncio.to_thread(node.stop)
        run.mark(f"stopped {node.name}")
        if code != 0:
            run.wrong.append(f"{node.name} ended with {code} after SIGTERM")
        if seconds > STOP_SECONDS:
            run.wrong.append(f"{node.name} took {seconds:.1f} s to stop")
        await asyncio.to_thread(node.start)


def stopping(service: str) -> Fault:
    """F15 for the nodes of a service."""

    async def fault(run: Run) -> None:
        await stopped(run, run.cluster.of(service)[:1])

    return fault


async def claimed_twice(run: Run) -> None:
    """F17: a gateway stands still beyond its lease, its devices log in elsewhere, and it wakes up again."""
    frozen, other = run.cluster.gateways[:2]
    twins = [_twin(run, n, frozen) for n in range(3)]
    async with background([one.run() for one in twins]):
        await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in twins)), 10)
        frozen.freeze()
        run.mark(f"froze {frozen.name}")
        elsewhere = [_twin(run, n, other) for n in range(3)]
        async with background([one.run() for one in elsewhere]):
            await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in elsewhere)), 10)
            await asyncio.sleep(run.plan.during)  # longer than the lease
            frozen.thaw()
            run.mark(f"thawed {frozen.name}")
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(one.over.wait() for one in twins)), _NOTICE_SECONDS)
            still = [one.name for one in twins if not one.over.is_set()]
            if still:
                run.wrong.append(f"still not closed as replaced: {still}, codes {[one.codes for one in twins]}")
            for one in elsewhere:
                if not one.ready.is_set():
                    run.wrong.append(f"{one.name}, who came last, was closed with {one.codes}")


async def sockets_lost(run: Run) -> None:
    """All sockets of those who tap are lost, again and again; they resume."""
    for _ in range(3):
        await asyncio.gather(*(phone.hang_up() for phone in run.phones))
        await asyncio.sleep(run.plan.during / 3)  # the time of the fault


async def logged_in_again(run: Run) -> None:
    """A device logs in at another gateway while its first session is alive."""
    first, other = run.cluster.gateways[:2]
    one, two = _twin(run, 0, first), _twin(run, 0, other)
    async with background([one.run()]):
        await asyncio.wait_for(one.ready.wait(), 10)
        await asyncio.sleep(1.5)  # so that there is no doubt who was first
        async with background([two.run()]):
            await asyncio.wait_for(two.ready.wait(), 10)
            await asyncio.sleep(run.plan.during)  # the time of the fault


def _twin(run: Run, n: int, gateway: Node) -> Phone:
    who = ("default", f"twin{n}")
    name = f"twin-{n}-{gateway.name}"
    return Phone(name, who, run.cluster.user_token(*who), [gateway], TARGETS, run.recorder, device="tablet", seed=n)
