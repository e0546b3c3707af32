"""Which gateway nodes are alive and which topics each wants, as the session registry tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass

from fanout_svc.domain import USERS, Node, Topic

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class News:
    """What the registry says: `down` happened before `up`, and both before the `interests` in their order.

    `interests` are (node id, topic, wanted). `synced`: with this, all there is has been told.
    """

    down: Sequence[str] = ()
    up: Sequence[Node] = ()
    interests: Sequence[tuple[str, Topic, bool]] = ()
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Effects:
    """What has to be done: leave nodes, then join nodes, then greet: bring (node id, topic) its current state."""

    left: tuple[str, ...] = ()
    joined: tuple[Node, ...] = ()
    greet: tuple[tuple[str, Topic], ...] = ()
    # Topics nobody wants any longer.
    ended: tuple[Topic, ...] = ()


class _View:
    """One consistent picture."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.topics: dict[Topic, set[str]] = {}
        self.wanted: dict[str, set[Topic]] = {}
        # By tenant, the users whose own topics are among `topics`.
        self.people: dict[str, set[str]] = {}

    def apply(self, news: News) -> Effects:
        joined: dict[str, Node] = {}
        greet: dict[tuple[str, Topic], None] = {}
        ended: dict[Topic, None] = {}
        left = [node_id for node_id in news.down if node_id in self.nodes]
        for node_id in news.down:
            self._drop(node_id, ended)
        for node in news.up:
            if node.node_id in self.nodes:
                self._drop(node.node_id, ended)
                left.append(node.node_id)
            self.nodes[node.node_id] = joined[node.node_id] = node
        for node_id, topic, wanted in news.interests:
            if wanted:
                self._want(node_id, topic)
                self.wanted.setdefault(node_id, set()).add(topic)
                greet[node_id, topic] = None
                ended.pop(topic, None)
            else:
                greet.pop((node_id, topic), None)
                self.wanted.get(node_id, set()).discard(topic)
                self._unwant(node_id, topic, ended)
        return Effects(tuple(left), tuple(joined.values()), tuple(greet), tuple(ended))

    def _drop(self, node_id: str, ended: dict[Topic, None]) -> None:
        self.nodes.pop(node_id, None)
        for topic in self.wanted.pop(node_id, ()):
            self._unwant(node_id, topic, ended)

    def _want(self, node_id: str, topic: Topic) -> None:
        self.topics.setdefault(topic, set()).add(node_id)
        tenant, name = topic
        if name.startswith(USERS):
            self.people.setdefault(tenant, set()).add(name[len(USERS) :])

    def _unwant(self, node_id: str, topic: Topic, ended: dict[Topic, None]) -> None:
        nodes = self.topics.get(topic)
        if nodes is not None:
            nodes.discard(node_id)
            if not nodes:
                del self.topics[topic]
                ended[topic] = None
                tenant, name = topic
                if name.startswith(USERS):
                    self.people[tenant].discard(name[len(USERS) :])


class Interest:
    """What is known now. A new watch begins with `restart`; what was known stays valid until it is synced."""

    def __init__(self) -> None:
        self._view = _View()
        self._next: _View | None = None

    def __contains__(self, topic: Topic) -> bool:
        return topic in self._view.topics

    def __len__(self) -> int:
        return len(self._view.topics)

    def nodes_of(self, topic: Topic) -> Collection[str]:
        """The ids of the nodes that want a topic."""
        return self._view.topics.get(topic, _NOBODY)

    def topics_of(self, node_id: str) -> Collection[Topic]:
        """The topics a node wants."""
        return self._view.wanted.get(node_id, ())

    def people_of(self, tenant: str) -> Set[str]:
        """The users of a tenant whose own topics some node wants."""
        return self._view.people.get(tenant, _NOBODY)

    def pairs(self) -> Iterator[tuple[str, Topic]]:
        """All (node id, topic)."""
        for node_id, topics in self._view.wanted.items():
            for topic in topics:
                yield node_id, topic

    def restart(self) -> None:
        """What comes now tells everything anew."""
        self._next = _View()

    def apply(self, news: News) -> Effects:
        """Takes news in and says what has to be done."""
        if self._next is None:
            return self._view.apply(news)
        self._next.apply(news)
        if not news.synced:
            return Effects()
        before, self._view, self._next = self._view, self._next, None
        now = self._view
        left = tuple(node_id for node_id, node in before.nodes.items() if now.nodes.get(node_id) != node)
        joined = tuple(node for node_id, node in now.nodes.items() if before.nodes.get(node_id) != node)
        anew = {node.node_id for node in joined}
        greet = tuple(
            (node_id, topic)
            for node_id, topics in now.wanted.items()
            for topic in (topics if node_id in anew else topics - before.wanted.get(node_id, set()))
        )
        return Effects(left, joined, greet, tuple(topic for topic in before.topics if topic not in now.topics))
