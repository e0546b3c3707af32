"""Tells the nodes of a topic without state of each other: a session may move from one to the other."""

from __future__ import annotations

from fanout_svc.domain import USERS, Hears, Topic
from fanout_svc.interest import Interest
from fanout_svc.ports import Nodes


class Introductions:
    """Only topics of users have no state; of any other topic nothing is said."""

    def __init__(self, interest: Interest, nodes: Nodes) -> None:
        self._interest = interest
        self._nodes = nodes
        self._made = 0

    def began(self, node_id: str, topic: Topic) -> None:
        """A node wants the topic from now on."""
        self._tell_others(node_id, topic, wanted=True)
        for other in self._interest.nodes_of(topic) if topic[1].startswith(USERS) else ():
            if other != node_id:
                self._nodes.deliver(self._hears(topic, other, wanted=True), (node_id,))

    def ended(self, node_id: str, topic: Topic) -> None:
        """A node no longer wants the topic."""
        self._tell_others(node_id, topic, wanted=False)

    def _tell_others(self, node_id: str, topic: Topic, *, wanted: bool) -> None:
        if not topic[1].startswith(USERS):
            return
        others = [other for other in self._interest.nodes_of(topic) if other != node_id]
        if others:
            self._nodes.deliver(self._hears(topic, node_id, wanted=wanted), others)

    def _hears(self, topic: Topic, node_id: str, *, wanted: bool) -> Hears:
        self._made += 1
        return Hears(topic, node_id, wanted, self._made)
