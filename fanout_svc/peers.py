"""Announces the nodes that subscribe to a user's topic to each other: a session may move from one to another."""

from __future__ import annotations

from fanout_svc.domain import USERS, PeerInterest, Topic
from fanout_svc.ports import Nodes
from fanout_svc.topics.interest import Interest


class PeerAnnouncements:
    """Only topics of users are announced: other topics have a state, which a snapshot brings."""

    def __init__(self, interest: Interest, nodes: Nodes) -> None:
        self._interest = interest
        self._nodes = nodes
        self._version = 0

    def subscribed(self, node_id: str, topic: Topic) -> None:
        """Announces a new subscriber to the others, and the others to it."""
        self._announce(node_id, topic, subscribes=True)
        for other in self._interest.nodes_of(topic) if topic[1].startswith(USERS) else ():
            if other != node_id:
                self._nodes.deliver(self._peer_interest(topic, other, subscribes=True), (node_id,))

    def unsubscribed(self, node_id: str, topic: Topic) -> None:
        """Announces to the others that a node has unsubscribed."""
        self._announce(node_id, topic, subscribes=False)

    def _announce(self, node_id: str, topic: Topic, *, subscribes: bool) -> None:
        if not topic[1].startswith(USERS):
            return
        others = [other for other in self._interest.nodes_of(topic) if other != node_id]
        if others:
            self._nodes.deliver(self._peer_interest(topic, node_id, subscribes=subscribes), others)

    def _peer_interest(self, topic: Topic, node_id: str, *, subscribes: bool) -> PeerInterest:
        self._version += 1
        return PeerInterest(topic, node_id, subscribes, self._version)
