"""Announces to nodes which nodes a user's topic is delivered to: themselves, and others that sessions move to."""

from __future__ import annotations

from fanout_svc.domain import USERS, NodeInterest, Topic
from fanout_svc.ports import Nodes
from fanout_svc.topics.interest import Interest
from fanout_svc.topics.pending_topics import PendingTopics
from kit.access.domain import CONVERSATIONS


class Announcements:
    """Only topics of users and of conversations are announced: other topics have a state, which a snapshot brings.
    Sessions take only topics of users to other nodes.

    A node answers a client that subscribes to its own topic when every sender has announced the node to itself. These
    announcements are sent a few at a time: a node that joins may subscribe to very many topics.
    """

    def __init__(self, interest: Interest, nodes: Nodes) -> None:
        self._interest = interest
        self._nodes = nodes
        self._version = 0
        self._pending = PendingTopics()

    def subscribed(self, node_id: str, topic: Topic) -> None:
        """Announces a new subscriber to itself and to the others, and the others to it."""
        self.confirm(node_id, topic)
        self._announce(node_id, topic, subscribes=True)
        for other in self._interest.nodes_of(topic) if topic[1].startswith(USERS) else ():
            if other != node_id:
                self._nodes.deliver(self._node_interest(topic, other, subscribes=True), (node_id,))

    def unsubscribed(self, node_id: str, topic: Topic) -> None:
        """Announces to the others that a node has unsubscribed."""
        self._announce(node_id, topic, subscribes=False)

    def confirm(self, node_id: str, topic: Topic) -> None:
        """Schedules the announcement of a subscriber to itself."""
        if topic[1].startswith((USERS, CONVERSATIONS)):
            self._pending.add(topic, (node_id,))

    def flush(self, limit: int) -> bool:
        """Sends the scheduled announcements of up to `limit` topics; False where none was scheduled."""
        pending = self._pending.take(limit)
        for topic, node_ids in pending.items():
            for node_id in node_ids.intersection(self._interest.nodes_of(topic)):
                interest = self._node_interest(topic, node_id, subscribes=True, is_state=True)
                self._nodes.deliver(interest, (node_id,))
        return bool(pending)

    def _announce(self, node_id: str, topic: Topic, *, subscribes: bool) -> None:
        if not topic[1].startswith(USERS):
            return
        others = [other for other in self._interest.nodes_of(topic) if other != node_id]
        if others:
            self._nodes.deliver(self._node_interest(topic, node_id, subscribes=subscribes), others)

    def _node_interest(self, topic: Topic, node_id: str, *, subscribes: bool, is_state: bool = False) -> NodeInterest:
        self._version += 1
        return NodeInterest(topic, node_id, subscribes, self._version, is_state)
