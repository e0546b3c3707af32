"""Which nodes have yet to be told the current state of which topics. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from fanout_svc.domain import Topic


class Greetings:
    """Topics in the order in which they came up, each with the ids of its nodes."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Topic, set[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, topic: Topic, node_ids: Collection[str]) -> None:
        """Nodes have to be told the state of a topic."""
        self._waiting.setdefault(topic, set()).update(node_ids)

    def take(self, limit: int) -> dict[Topic, set[str]]:
        """Takes up to `limit` topics, oldest first."""
        return dict(self._waiting.popitem(last=False) for _ in range(min(limit, len(self._waiting))))
