"""Topics for which something has yet to be sent to nodes. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from fanout_svc.domain import Topic


class PendingTopics:
    """Topics in the order of their first request, each with the ids of the nodes that the request is for."""

    def __init__(self) -> None:
        self._node_ids: OrderedDict[Topic, set[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._node_ids)

    def add(self, topic: Topic, node_ids: Collection[str]) -> None:
        """Adds a request of a topic for nodes."""
        self._node_ids.setdefault(topic, set()).update(node_ids)

    def take(self, limit: int) -> dict[Topic, set[str]]:
        """Removes and returns up to `limit` topics, oldest first."""
        return dict(self._node_ids.popitem(last=False) for _ in range(min(limit, len(self._node_ids))))
