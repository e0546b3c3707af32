"""What fan-out tells whom, and what it asks the counter for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

import pytest

from fanout_svc.config import Config
from fanout_svc.domain import Hears, Node, OwnUpdate, TargetChange, Topic, Totals, Update
from fanout_svc.errors import CountsUnreachable
from fanout_svc.interest import News
from fanout_svc.service import Fanout
from kit.clock import SystemClock
from kit.partitions import Partitions
from kit.tasks import background

A: Topic = ("default", "messages/a")
B: Topic = ("default", "messages/b")
ALICE: Topic = ("default", "users/alice")


class Counter:
    """Answers with what it is given, once it may; `asked` is what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[Topic, int]] = []
        self.totals: dict[Topic, Totals] = {}
        self.down = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def get(self, wanted: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        self.asked.append(wanted)
        await self.may_answer.wait()
        if self.down:
            raise CountsUnreachable("the counter is down")
        return {topic: self.totals[topic] for topic in wanted if topic in self.totals}


class Nodes:
    """Keeps what each node is told."""

    def __init__(self) -> None:
        self.on_behind: Callable[[str, Collection[Topic] | None], None] = lambda node_id, topics: None
        self.got: dict[str, list[Update | OwnUpdate | Hears]] = {}
        self.gaps = 0

    def join(self, node: Node) -> None:
        self.got.setdefault(node.node_id, [])

    def leave(self, node_id: str) -> None:
        del self.got[node_id]

    def missed(self) -> None:
        self.gaps += 1

    def deliver(self, update: Update | OwnUpdate | Hears, node_ids: Collection[str]) -> None:
        for node_id in node_ids:
            self.got[node_id].append(update)


class Stage:
    """A fan-out that has the only partition, and what is around it."""

    def __init__(self) -> None:
        self.counter = Counter()
        self.nodes = Nodes()
        partitions = Partitions(lambda service: (), "fanout", lambda: "", 1)
        config = Config(window_seconds=0.01, retry_seconds=0.001)
        self.fanout = Fanout(self.counter, self.nodes, partitions, SystemClock(), config)
        self.fanout.follow(0)

    def wants(self, node_id: str, *topics: Topic) -> None:
        up = () if node_id in self.nodes.got else (Node(node_id, "127.0.0.1:1", 1),)
        self.fanout.hear(News(up=up, interests=[(node_id, topic, True) for topic in topics]))

    def changes(self, topic: Topic, version: int, user: str = "alice") -> None:
        interesting = topic in self.fanout.interest or ("default", f"users/{user}") in self.fanout.interest
        rows = [(user, "👍", "", version)] if interesting else []
        change: TargetChange = (topic, (version, ("👍",), (version,)), rows)
        self.fanout.absorb(0, [change])

    def told(self, node_id: str, topic: Topic) -> list[int]:
        """The versions a node was told of a topic; the counts are as many as the version."""
        updates = [one for one in self.nodes.got[node_id] if isinstance(one, Update) and one.topic == topic]
        assert all(one.totals.reactions == ((("👍", one.version),) if one.version else ()) for one in updates)
        return [one.version for one in updates]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - what is waited for is seen from outside
                await asyncio.sleep(0.001)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    stage = Stage()
    async with background(stage.fanout.run()):
        yield stage


def counts(version: int) -> Totals:
    return Totals(version, (("👍", version),) if version else ())


async def test_an_update_is_told_without_a_question() -> None:
    async with staged() as stage:
        stage.counter.totals[A] = counts(0)
        stage.wants("n1", A, ALICE)
        await stage.until(lambda: stage.told("n1", A) == [0])
        stage.changes(A, 1)
        await stage.until(lambda: stage.told("n1", A) == [0, 1])
        stage.changes(A, 2)
        await stage.until(lambda: stage.told("n1", A) == [0, 1, 2])
        assert stage.counter.asked == [{A: 0}]
        own = [one for one in stage.nodes.got["n1"] if isinstance(one, OwnUpdate)]
        assert [(one.topic, one.target, one.added, one.version) for one in own] == [
            (ALICE, A[1], "👍", 1),
            (ALICE, A[1], "👍", 2),
        ]


async def test_a_node_is_greeted_from_memory_where_the_target_was_changed_lately() -> None:
    async with staged() as stage:
        stage.changes(A, 7)  # nobody subscribes to it yet
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        assert not stage.counter.asked


async def test_a_greeting_after_missed_changes_is_asked_for_at_the_known_version() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(9)
        stage.fanout.missed(0)
        await stage.until(lambda: stage.told("n1", A) == [7, 9])
        assert stage.counter.asked == [{A: 7}]
        assert stage.nodes.gaps == 1


async def test_missed_changes_do_not_make_one_forget_what_version_a_target_had() -> None:
    async with staged() as stage:
        stage.changes(A, 7)  # nobody subscribes to it yet
        stage.fanout.missed(0)
        stage.counter.totals[A] = counts(6)
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        assert stage.counter.asked[0] == {A: 7}
        assert not stage.told("n1", A)
        stage.counter.totals[A] = counts(7)
        await stage.until(lambda: stage.told("n1", A) == [7])


async def test_a_greeting_is_never_older_than_what_was_sent() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(6)
        stage.fanout.missed(0)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        assert stage.told("n1", A) == [7]
        stage.counter.totals[A] = counts(8)
        await stage.until(lambda: stage.told("n1", A) == [7, 8])


async def test_a_change_while_a_greeting_is_asked_for_is_told_at_once_and_outdates_the_answer() -> None:
    async with staged() as stage:
        stage.counter.may_answer.clear()
        stage.counter.totals[A] = counts(3)
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) == 1)
        stage.changes(A, 4)
        await stage.until(lambda: stage.told("n1", A) == [4])
        stage.counter.may_answer.set()
        stage.counter.totals[B] = counts(0)
        stage.wants("n1", B)
        await stage.until(lambda: stage.told("n1", B) == [0])
        assert set(stage.told("n1", A)) == {4}


async def test_an_update_that_a_greeting_has_overtaken_is_not_told() -> None:
    async with staged() as stage:
        stage.counter.totals[A] = counts(5)  # the counter is ahead of the log
        stage.counter.totals[B] = counts(0)
        stage.wants("n1", A, B)
        await stage.until(lambda: stage.told("n1", A) == [5] and stage.told("n1", B) == [0])
        stage.changes(A, 4)
        stage.changes(B, 1)
        await stage.until(lambda: stage.told("n1", B) == [0, 1])
        assert stage.told("n1", A) == [5]
        stage.changes(A, 6)
        await stage.until(lambda: stage.told("n1", A) == [5, 6])


async def test_a_greeting_waits_for_a_counter_that_is_down() -> None:
    async with staged() as stage:
        stage.counter.down = True
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        stage.counter.down = False
        stage.counter.totals[A] = counts(2)
        await stage.until(lambda: stage.told("n1", A) == [2])


async def test_a_topic_that_nobody_wants_any_more_is_not_asked_for_again() -> None:
    async with staged() as stage:
        stage.counter.down = True
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        stage.fanout.hear(News(interests=[("n1", A, False)]))
        stage.counter.totals[B] = counts(0)
        stage.counter.asked.clear()
        stage.counter.down = False
        stage.wants("n1", B)
        await stage.until(lambda: stage.told("n1", B) == [0])
        assert all(set(asked) == {B} for asked in stage.counter.asked[1:])
        assert not stage.told("n1", A)


async def test_after_a_restore_lower_versions_are_told() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(5)
        stage.fanout.restored(0)
        await stage.until(lambda: stage.told("n1", A) == [7, 5])


@pytest.mark.parametrize("many", [1, 450])
async def test_everyone_is_told_the_state_when_a_partition_is_taken_over(many: int) -> None:
    async with staged() as stage:
        topics = [("default", f"messages/{n}") for n in range(many)]
        stage.fanout.unfollow(0)
        stage.wants("n1", *topics)
        stage.fanout.prepare(0)
        stage.fanout.remember(0, [(topic, (3, ("👍",), (3,)), ()) for topic in topics])
        stage.fanout.follow(0)
        await stage.until(lambda: all(stage.told("n1", topic) == [3] for topic in topics))
        assert not stage.counter.asked
