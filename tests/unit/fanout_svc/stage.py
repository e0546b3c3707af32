"""A fan-out with the only partition, and a fake counter and nodes that record requests and deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from fanout_svc.config import Config
from fanout_svc.deliverable import Deliverable
from fanout_svc.domain import Node, NodeInterest, OwnUpdate, TargetChange, Topic, Totals, Update
from fanout_svc.errors import CountsUnreachable
from fanout_svc.service import Fanout
from fanout_svc.topics.interest import RegistryDelta
from kit.clock import SystemClock
from kit.cluster.partitions import Partitions
from kit.tasks import background


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
    """Records the deliveries of each node."""

    def __init__(self) -> None:
        self.on_resync: Callable[[str, Collection[Topic] | None], None] = lambda node_id, topics: None
        self.got: dict[str, list[Deliverable]] = {}
        self.gaps = 0

    def join(self, node: Node) -> None:
        self.got.setdefault(node.node_id, [])

    def leave(self, node_id: str) -> None:
        del self.got[node_id]

    def mark_gap(self) -> None:
        self.gaps += 1

    def deliver(self, update: Deliverable, node_ids: Collection[str]) -> None:
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
        self.fanout.assign(0)

    def wants(self, node_id: str, *topics: Topic) -> None:
        up = () if node_id in self.nodes.got else (Node(node_id, "127.0.0.1:1", 1),)
        self.fanout.apply_delta(RegistryDelta(up=up, interests=[(node_id, topic, True) for topic in topics]))

    def changes(self, topic: Topic, version: int, user: str = "alice") -> None:
        interesting = topic in self.fanout.interest or ("default", f"users/{user}") in self.fanout.interest
        rows = [(user, "👍", "", version)] if interesting else []
        change: TargetChange = (topic, (version, ("👍",), (version,)), rows)
        self.fanout.apply_changes(0, [change])

    def own_versions(self, node_id: str) -> list[int]:
        """The versions of the own updates that a node got."""
        return [one.version for one in self.nodes.got[node_id] if isinstance(one, OwnUpdate)]

    def announced(self, node_id: str) -> list[tuple[Topic, str]]:
        """The topics and nodes that were announced to a node."""
        return [(one.topic, one.node_id) for one in self.nodes.got[node_id] if isinstance(one, NodeInterest)]

    def told(self, node_id: str, topic: Topic) -> list[int]:
        """The versions of a topic that a node got; the count equals the version."""
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
