"""Which partitions of a topic are this node's: divided evenly among the live nodes of a service."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import lru_cache

import structlog
from prometheus_client import Gauge

from kit.rendezvous import pick
from kit.tasks import Crew, crew

log = structlog.get_logger()
OWNED = Gauge("plaudit_partitions_owned", "Partitions this process takes care of.", ["service"])
_LOOK_SECONDS = 0.05
_PAUSE_SECONDS = (0.05, 2.0)


def partition_key(partition: int) -> str:
    """The routing key of a partition: calls with it reach the node whose partition it is."""
    return f"partition/{partition}"


def is_partition_key(key: str) -> bool:
    """Whether a key is one of `partition_key`; no target and no user is called so."""
    return key.startswith("partition/")


def partition_in(key: str) -> int:
    """The partition that a key of `partition_key` names."""
    return int(key.rpartition("/")[2])


@lru_cache(maxsize=256)
def owners(nodes: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The owner of each of `count` partitions, the same in every process; "" where there are no nodes.

    By rendezvous hashing, but none gets more than its even share: partitions are few, and chance would often give one
    node all of them. Where a node leaves or comes, most partitions stay where they are.
    """
    if not nodes:
        return ("",) * count
    room = dict.fromkeys(nodes, -(-count // len(nodes)))
    found = []
    for partition in range(count):
        owner = pick(partition_key(partition), tuple(node for node in nodes if room[node]))
        room[owner] -= 1
        found.append(owner)
    return tuple(found)


class Partitions:
    """The division as this node sees it. Two nodes may see it differently for a moment: both may then do the work.

    `own` gives this node's address, "" while it does not serve yet. A node that the others do not see owns nothing;
    but where there are no nodes at all and this one has no address, everything is its own.
    """

    def __init__(
        self, addresses: Callable[[str], tuple[str, ...]], service: str, own: Callable[[], str], count: int
    ) -> None:
        self.service = service
        self.count = count
        self._addresses = addresses
        self._own = own
        self._seen: tuple[tuple[str, ...], str] | None = None
        self._mine: frozenset[int] = frozenset()

    def mine(self) -> frozenset[int]:
        """The partitions of this node, now."""
        seen = self._addresses(self.service), self._own()
        if seen != self._seen:
            self._seen = seen
            self._mine = self._divided(*seen)
        return self._mine

    def _divided(self, nodes: tuple[str, ...], own: str) -> frozenset[int]:
        if own and own not in nodes:
            return frozenset()
        return frozenset(p for p, owner in enumerate(owners(nodes, self.count)) if owner == own)

    def is_mine(self, partition: int) -> bool:
        """Whether a partition is this node's, now."""
        return partition in self.mine()


@lru_cache(maxsize=64)
def together(nodes: tuple[str, ...], count: int) -> tuple[int, ...]:
    """For each of `count` partitions the first one that has the same owner: those can be asked about in one call."""
    found = owners(nodes, count)
    return tuple(map(found.index, found))


class _Held:
    """A partition that is, or was until now, this node's."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.entered = False
        self.task: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Ends it; what is still being entered may wait for what never comes."""
        self.gone.set()
        if self.task is not None and not self.entered:
            self.task.cancel()


async def keep_divided(
    partitions: Partitions,
    run: Callable[[int], AbstractAsyncContextManager[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Enters `run(p)` for each partition that became this node's, leaves it for one that went; ends by cancellation.

    Only partitions that move are touched, and one that comes back is entered after it was left. Where `run(p)` fails,
    it is entered again after a pause, and the other partitions do not notice.
    """
    held: dict[int, _Held] = {}
    owned = OWNED.labels(partitions.service)
    async with crew() as tasks:
        try:
            while True:
                _arrange(partitions.mine(), held, run, tasks)
                owned.set(sum(not one.gone.is_set() for one in held.values()))
                await asyncio.sleep(look_seconds)
        finally:
            owned.set(0)
            for one in held.values():
                one.leave()
            await asyncio.gather(*[one.task for one in held.values() if one.task], return_exceptions=True)


def _arrange(
    mine: frozenset[int],
    held: dict[int, _Held],
    run: Callable[[int], AbstractAsyncContextManager[None]],
    tasks: Crew,
) -> None:
    for partition, one in list(held.items()):
        if one.task is not None and one.task.done():
            del held[partition]
        elif partition not in mine and not one.gone.is_set():
            log.info("partition goes", partition=partition)
            one.leave()
    for partition in mine - held.keys():
        log.info("partition comes", partition=partition)
        one = held[partition] = _Held()
        one.task = tasks.start(_hold(partition, one, run))


async def _hold(partition: int, one: _Held, run: Callable[[int], AbstractAsyncContextManager[None]]) -> None:
    floor, ceiling = _PAUSE_SECONDS
    failures, gone = 0, one.gone
    while not gone.is_set():
        began = asyncio.get_running_loop().time()
        try:
            async with run(partition):
                one.entered = True
                await gone.wait()
        except Exception as error:
            one.entered = False
            failures = 1 if asyncio.get_running_loop().time() - began > ceiling else failures + 1
            reason = f"{type(error).__name__}: {error}"[:200]
            log.warning("a partition is entered again", partition=partition, after=reason, failures=failures)
            with suppress(TimeoutError):
                pause = random.uniform(floor, min(ceiling, floor * 2 ** min(failures, 16)))
                await asyncio.wait_for(gone.wait(), pause)
