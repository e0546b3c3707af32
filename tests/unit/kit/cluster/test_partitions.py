"""How partitions are divided among nodes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.cluster.partitions import Partitions, owner_groups, owners, partition_key, run_assigned_partitions
from kit.cluster.routing import node_of
from kit.tasks import background

SERVICE = "plaudit.echo.v1.EchoService"
NODES = st.lists(st.integers(1, 99).map(lambda n: f"10.0.0.{n}:50051"), min_size=1, max_size=6, unique=True)


class NodeView:
    """What a node sees of the others."""

    def __init__(self, *nodes: str, own: str = "") -> None:
        self.nodes = nodes
        self.own = own
        self._looked = asyncio.Event()

    def partitions(self, count: int = 16) -> Partitions:
        return Partitions(self._addresses, SERVICE, lambda: self.own, count)

    def _addresses(self, service: str) -> tuple[str, ...]:
        self._looked.set()
        return self.nodes if service == SERVICE else ()

    async def polled(self) -> None:
        """Waits until the present nodes were read and the assignment was applied."""
        async with asyncio.timeout(5):
            for _ in range(2):
                self._looked.clear()
                await self._looked.wait()


@given(NODES, st.integers(1, 64))
def test_each_partition_has_one_node_which_callers_find_by_its_key(nodes: list[str], count: int) -> None:
    shares = {own: NodeView(*nodes, own=own).partitions(count).assigned() for own in nodes}
    assert sorted(p for share in shares.values() for p in share) == list(range(count))
    for own, share in shares.items():
        assert len(share) <= -(-count // len(nodes))
        found = {node_of({SERVICE: count}, SERVICE, "", partition_key(p), tuple(nodes)) for p in share}
        assert found <= {own}


@given(NODES, st.integers(1, 64), st.randoms())
def test_the_assignment_does_not_depend_on_the_order_of_nodes(
    nodes: list[str], count: int, chance: random.Random
) -> None:
    known = owners(tuple(nodes), count)
    chance.shuffle(nodes)
    assert owners(tuple(nodes), count) == known


@given(NODES.filter(lambda nodes: len(nodes) > 1), st.integers(1, 64), st.data())
def test_most_partitions_of_other_nodes_stay_when_a_node_leaves(
    nodes: list[str], count: int, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(nodes))
    before, after = owners(tuple(nodes), count), owners(tuple(node for node in nodes if node != gone), count)
    moved = [p for p in range(count) if before[p] not in (gone, after[p])]
    assert len(moved) <= 2 + count // 4


@given(NODES, st.integers(1, 64))
def test_partitions_with_the_same_owner_are_one_group(nodes: list[str], count: int) -> None:
    firsts = owner_groups(tuple(nodes), count)
    divided = owners(tuple(nodes), count)
    assert tuple(divided[first] for first in firsts) == divided
    assert len(set(firsts)) == len(set(divided))
    assert owner_groups((), count) == (0,) * count


def test_a_node_that_does_not_serve_or_is_not_live_is_assigned_nothing() -> None:
    assert NodeView("a:1", own="").partitions().assigned() == frozenset()
    assert NodeView("a:1", own="b:1").partitions().assigned() == frozenset()
    assert NodeView(own="b:1").partitions().assigned() == frozenset()


def test_without_nodes_every_partition_is_assigned_to_this_process() -> None:
    assert NodeView().partitions(3).assigned() == {0, 1, 2}


def test_the_assignment_follows_the_nodes() -> None:
    view = NodeView("a:1", own="a:1")
    partitions = view.partitions()
    assert partitions.assigned() == frozenset(range(16))
    view.nodes = ("a:1", "b:1")
    share = partitions.assigned()
    assert 0 < len(share) < 16
    assert [p for p in range(16) if partitions.is_assigned(p)] == sorted(share)


class RecordedWork:
    """What a node does with its partitions: all that was entered and left, in order."""

    def __init__(self) -> None:
        self.now: set[int] = set()
        self.seen: list[tuple[str, int]] = []
        self.bad: set[int] = set()
        self.slow = asyncio.Event()
        self.slow.set()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def run(self, partition: int) -> AsyncIterator[None]:
        self._notify("try", partition)
        if partition in self.bad:
            raise ZeroDivisionError
        assert partition not in self.now
        self.now.add(partition)
        self._notify("enter", partition)
        try:
            yield
        finally:
            await self.slow.wait()
            self.now.discard(partition)
            self._notify("leave", partition)

    def _notify(self, what: str, partition: int) -> None:
        self.seen.append((what, partition))
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def divided(view: NodeView, work: RecordedWork, count: int = 16) -> AsyncIterator[None]:
    async with background(run_assigned_partitions(view.partitions(count), work.run, check_seconds=0.001)):
        yield


async def test_partitions_are_entered_and_left_as_nodes_join_and_leave_and_others_are_not_affected() -> None:
    view, work = NodeView("a:1", own="a:1"), RecordedWork()
    async with divided(view, work):
        await work.until(lambda: len(work.now) == 16)
        view.nodes = ("a:1", "b:1")
        share = set(view.partitions().assigned())
        await work.until(lambda: work.now == share)
        view.nodes = ("a:1",)
        await work.until(lambda: len(work.now) == 16)
        touched = {p for what, p in work.seen if what == "leave"}
        assert touched == set(range(16)) - share
        assert len([what for what, _ in work.seen if what == "enter"]) == 16 + len(touched)
    assert work.now == set()


async def test_a_partition_that_is_assigned_again_is_entered_only_after_it_was_left() -> None:
    view, work = NodeView("a:1", own="a:1"), RecordedWork()
    async with divided(view, work, 1):
        await work.until(lambda: work.now == {0})
        work.slow.clear()
        view.nodes = ("b:1",)
        await view.polled()
        view.nodes = ("a:1",)
        await view.polled()
        work.slow.set()
        await work.until(lambda: work.seen.count(("enter", 0)) == 2)
    assert [what for what, _ in work.seen if what != "try"] == ["enter", "leave", "enter", "leave"]


async def test_a_partition_that_fails_is_entered_again_without_effect_on_the_others() -> None:
    view, work = NodeView("a:1", own="a:1"), RecordedWork()
    work.bad.add(3)
    async with divided(view, work, 8):
        await work.until(lambda: len(work.now) == 7 and work.seen.count(("try", 3)) > 2)
        work.bad.clear()
        await work.until(lambda: len(work.now) == 8)
        assert not [p for what, p in work.seen if what == "leave"]


async def test_failed_work_is_restarted() -> None:
    view, broken = NodeView("a:1", own="a:1"), asyncio.Event()
    begun: list[int] = []
    again = asyncio.Event()

    async def inside() -> None:
        await broken.wait()
        broken.clear()
        raise ZeroDivisionError

    @asynccontextmanager
    async def run(partition: int) -> AsyncIterator[None]:
        async with background(inside()):
            begun.append(partition)
            again.set()
            yield

    async with background(run_assigned_partitions(view.partitions(1), run, check_seconds=0.001)), asyncio.timeout(5):
        await again.wait()
        for _ in range(2):
            again.clear()
            broken.set()
            await again.wait()
    assert begun == [0, 0, 0]


async def test_a_cancellation_leaves_all_partitions_in_order() -> None:
    view, work = NodeView("a:1", own="a:1"), RecordedWork()
    task = asyncio.create_task(run_assigned_partitions(view.partitions(4), work.run, check_seconds=0.001))
    await work.until(lambda: len(work.now) == 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.now, len([what for what, _ in work.seen if what == "leave"])) == (set(), 4)
