"""The live gateway nodes and the topics that each subscribes to, as the session registry reports them. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from fanout_svc.domain import USERS, Node, Topic, conversation_of
from kit.access.domain import MESSAGE_TARGETS

_NO_NODES: frozenset[str] = frozenset()
_NO_USERS: Mapping[str, Set[str]] = {}


@dataclass(frozen=True, slots=True)
class RegistryDelta:
    """A change: `down` happened before `up`, and both before `interests` (node id, topic, subscribes) in their order.

    `synced`: with this delta the description of the current state is complete.
    """

    down: Sequence[str] = ()
    up: Sequence[Node] = ()
    interests: Sequence[tuple[str, Topic, bool]] = ()
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from a delta, in this order: nodes left, nodes joined, (node id, topic) subscribed."""

    left: tuple[str, ...] = ()
    joined: tuple[Node, ...] = ()
    subscribed: tuple[tuple[str, Topic], ...] = ()
    # Topics without subscribers from now on.
    ended: tuple[Topic, ...] = ()


class _View:
    """One consistent state."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.topics: dict[Topic, set[str]] = {}
        self.topics_by_node: dict[str, set[Topic]] = {}
        # By tenant and user, the nodes that subscribe to the user's own topic: the sets of `topics`.
        self.users: dict[str, dict[str, set[str]]] = {}

    def apply(self, delta: RegistryDelta) -> Effects:
        joined: dict[str, Node] = {}
        subscribed: dict[tuple[str, Topic], None] = {}
        ended: dict[Topic, None] = {}
        left = [node_id for node_id in delta.down if node_id in self.nodes]
        for node_id in delta.down:
            self._drop(node_id, ended)
        for node in delta.up:
            if node.node_id in self.nodes:
                self._drop(node.node_id, ended)
                left.append(node.node_id)
            self.nodes[node.node_id] = joined[node.node_id] = node
        for node_id, topic, subscribes in delta.interests:
            if subscribes:
                self._subscribe(node_id, topic)
                self.topics_by_node.setdefault(node_id, set()).add(topic)
                subscribed[node_id, topic] = None
                ended.pop(topic, None)
            else:
                subscribed.pop((node_id, topic), None)
                self.topics_by_node.get(node_id, set()).discard(topic)
                self._unsubscribe(node_id, topic, ended)
        return Effects(tuple(left), tuple(joined.values()), tuple(subscribed), tuple(ended))

    def _drop(self, node_id: str, ended: dict[Topic, None]) -> None:
        self.nodes.pop(node_id, None)
        for topic in self.topics_by_node.pop(node_id, ()):
            self._unsubscribe(node_id, topic, ended)

    def _subscribe(self, node_id: str, topic: Topic) -> None:
        nodes = self.topics.setdefault(topic, set())
        nodes.add(node_id)
        tenant, name = topic
        if name.startswith(USERS):
            self.users.setdefault(tenant, {})[name[len(USERS) :]] = nodes

    def _unsubscribe(self, node_id: str, topic: Topic, ended: dict[Topic, None]) -> None:
        nodes = self.topics.get(topic)
        if nodes is not None:
            nodes.discard(node_id)
            if not nodes:
                del self.topics[topic]
                ended[topic] = None
                tenant, name = topic
                if name.startswith(USERS):
                    self.users[tenant].pop(name[len(USERS) :], None)


class Interest:
    """The current state. A new watch begins with `restart`; the state before stays valid until the watch is synced."""

    def __init__(self) -> None:
        self.changes = 0
        """Grows with every change: where it is the same as before, so is everything else."""
        self._view = _View()
        self._next: _View | None = None

    def __contains__(self, topic: Topic) -> bool:
        return topic in self._view.topics

    def __len__(self) -> int:
        return len(self._view.topics)

    def follows(self, topic: Topic) -> bool:
        """Whether the topic of a target has subscribers, or that of the conversation to which the target belongs."""
        topics = self._view.topics
        return topic in topics or (topic[1].startswith(MESSAGE_TARGETS) and conversation_of(topic) in topics)

    def nodes_of(self, topic: Topic) -> Collection[str]:
        """The ids of the nodes that subscribe to a topic."""
        return self._view.topics.get(topic, _NO_NODES)

    def own_topics_by_node(self, tenant: str, users: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """By node, the own topics of these users that it subscribes to."""
        found: dict[str, list[str]] = {}
        nodes_of = self._view.users.get(tenant, _NO_USERS)
        for user in users:
            for node_id in nodes_of.get(user, _NO_NODES):
                found.setdefault(node_id, []).append(USERS + user)
        return found

    def topics_of(self, node_id: str) -> Collection[Topic]:
        """The topics that a node subscribes to."""
        return self._view.topics_by_node.get(node_id, ())

    def users_of(self, tenant: str) -> Set[str]:
        """The users of a tenant whose own topics have subscribers."""
        return self._view.users.get(tenant, _NO_USERS).keys()

    def pairs(self) -> Iterator[tuple[str, Topic]]:
        """All (node id, topic)."""
        for node_id, topics in self._view.topics_by_node.items():
            for topic in topics:
                yield node_id, topic

    def restart(self) -> None:
        """The next deltas describe the whole state from the beginning."""
        self._next = _View()

    def apply(self, delta: RegistryDelta) -> Effects:
        """Applies a delta and returns what follows from it."""
        self.changes += 1
        if self._next is None:
            return self._view.apply(delta)
        self._next.apply(delta)
        if not delta.synced:
            return Effects()
        before, self._view, self._next = self._view, self._next, None
        now = self._view
        left = tuple(node_id for node_id, node in before.nodes.items() if now.nodes.get(node_id) != node)
        joined = tuple(node for node_id, node in now.nodes.items() if before.nodes.get(node_id) != node)
        new = {node.node_id for node in joined}
        subscribed = tuple(
            (node_id, topic)
            for node_id, topics in now.topics_by_node.items()
            for topic in (topics if node_id in new else topics - before.topics_by_node.get(node_id, set()))
        )
        return Effects(left, joined, subscribed, tuple(topic for topic in before.topics if topic not in now.topics))
