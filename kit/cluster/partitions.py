"""The partitions of a topic that are assigned to this node: divided evenly among the live nodes of a service."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import lru_cache

import structlog
from prometheus_client import Gauge

from kit.cluster.rendezvous import pick
from kit.tasks import TaskScope, task_scope

log = structlog.get_logger()
ASSIGNED = Gauge("plaudit_assigned_partitions", "Partitions assigned to this process.", ["service"])
_CHECK_SECONDS = 0.05
_PAUSE_SECONDS = (0.05, 2.0)


def partition_key(partition: int) -> str:
    """The routing key of a partition: calls with it reach the node that the partition is assigned to."""
    return f"partition/{partition}"


def is_partition_key(key: str) -> bool:
    """Whether a key is one of `partition_key`; it is no target and no user."""
    return key.startswith("partition/")


def partition_in(key: str) -> int:
    """The partition that a key of `partition_key` names."""
    return int(key.rpartition("/")[2])


@lru_cache(maxsize=256)
def owners(nodes: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The owner of each of `count` partitions, the same in every process; "" where there are no nodes.

    Rendezvous hashing in which no node gets more than its even share: partitions are few, and chance would often give
    one node all of them. When a node comes or goes, most partitions stay where they are.
    """
    if not nodes:
        return ("",) * count
    free = dict.fromkeys(nodes, -(-count // len(nodes)))
    found = []
    for partition in range(count):
        owner = pick(partition_key(partition), tuple(node for node in nodes if free[node]))
        free[owner] -= 1
        found.append(owner)
    return tuple(found)


class Partitions:
    """The assignment as this node sees it. Two nodes may disagree for a moment, and both do the work then.

    `own` returns this node's address, "" while it does not serve yet. A node that is not among the live ones is
    assigned nothing; where there are no nodes and this one has no address, it is assigned everything."""

    def __init__(
        self, addresses: Callable[[str], tuple[str, ...]], service: str, own: Callable[[], str], count: int
    ) -> None:
        self.service = service
        self.count = count
        self._addresses = addresses
        self._own = own
        self._seen: tuple[tuple[str, ...], str] | None = None
        self._assigned: frozenset[int] = frozenset()

    def assigned(self) -> frozenset[int]:
        """The partitions assigned to this node now."""
        seen = self._addresses(self.service), self._own()
        if seen != self._seen:
            self._seen = seen
            self._assigned = self._divided(*seen)
        return self._assigned

    def _divided(self, nodes: tuple[str, ...], own: str) -> frozenset[int]:
        if own and own not in nodes:
            return frozenset()
        return frozenset(p for p, owner in enumerate(owners(nodes, self.count)) if owner == own)

    def is_assigned(self, partition: int) -> bool:
        """Whether a partition is assigned to this node now."""
        return partition in self.assigned()


@lru_cache(maxsize=64)
def owner_groups(nodes: tuple[str, ...], count: int) -> tuple[int, ...]:
    """For each of `count` partitions the first one with the same owner: one request can cover such a group."""
    found = owners(nodes, count)
    return tuple(map(found.index, found))


class PartitionAssignment:
    """A partition that is assigned to this node, or was until now."""

    def __init__(self) -> None:
        self.revoked = asyncio.Event()
        self.entered = False
        self.task: asyncio.Task[None] | None = None

    def revoke(self) -> None:
        """Ends it. A block that is still being entered is cancelled, because it may never be entered."""
        self.revoked.set()
        if self.task is not None and not self.entered:
            self.task.cancel()


async def run_assigned_partitions(
    partitions: Partitions,
    run: Callable[[int], AbstractAsyncContextManager[None]],
    *,
    topic: str = "",
    check_seconds: float = _CHECK_SECONDS,
) -> None:
    """Enters `run(p)` for each assigned partition and leaves it when it is revoked, until it is cancelled.

    Only partitions that move are affected; one that comes back is entered after it was left. Where `run(p)` fails, it
    is entered again after a pause, without effect on other partitions. `topic` is for the log.
    """
    assignments: dict[int, PartitionAssignment] = {}
    assigned = ASSIGNED.labels(partitions.service)  # a service may divide several topics
    counted = 0
    async with task_scope() as tasks:
        try:
            while True:
                _follow_assignment(partitions, topic, assignments, run, tasks)
                count = sum(not one.revoked.is_set() for one in assignments.values())
                assigned.inc(count - counted)
                counted = count
                await asyncio.sleep(check_seconds)
        finally:
            assigned.dec(counted)
            for one in assignments.values():
                one.revoke()
            await asyncio.gather(*[one.task for one in assignments.values() if one.task], return_exceptions=True)


def _follow_assignment(
    partitions: Partitions,
    topic: str,
    assignments: dict[int, PartitionAssignment],
    run: Callable[[int], AbstractAsyncContextManager[None]],
    tasks: TaskScope,
) -> None:
    assigned, service = partitions.assigned(), partitions.service
    for partition, one in list(assignments.items()):
        if one.task is not None and one.task.done():
            del assignments[partition]
        elif partition not in assigned and not one.revoked.is_set():
            log.info("partition revoked", service=service, topic=topic, partition=partition)
            one.revoke()
    for partition in assigned - assignments.keys():
        log.info("partition assigned", service=service, topic=topic, partition=partition)
        one = assignments[partition] = PartitionAssignment()
        one.task = tasks.start(_run_partition(service, partition, one, run))


async def _run_partition(
    service: str,
    partition: int,
    one: PartitionAssignment,
    run: Callable[[int], AbstractAsyncContextManager[None]],
) -> None:
    floor, ceiling = _PAUSE_SECONDS
    failures, revoked = 0, one.revoked
    while not revoked.is_set():
        began = asyncio.get_running_loop().time()
        try:
            async with run(partition):
                one.entered = True
                await revoked.wait()
        except Exception as error:
            one.entered = False
            failures = 1 if asyncio.get_running_loop().time() - began > ceiling else failures + 1
            reason = f"{type(error).__name__}: {error}"[:200]
            log.warning(
                "partition failed, entering it again",
                service=service,
                partition=partition,
                after=reason,
                failures=failures,
            )
            with suppress(TimeoutError):
                pause = random.uniform(floor, min(ceiling, floor * 2 ** min(failures, 16)))
                await asyncio.wait_for(revoked.wait(), pause)
