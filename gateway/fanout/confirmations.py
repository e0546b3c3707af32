"""Which senders deliver a topic to which nodes, and what waits until all of them do. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from gateway.fanout.senders import NO_SENDERS, Sender, Senders


class Receivers(ABC):
    """The nodes that receive one topic. A base class of the topic, because an object of its own would cost memory."""

    __slots__ = ("has_gap", "other_nodes", "senders", "waits")

    def __init__(self) -> None:
        self.senders = NO_SENDERS
        """The senders that deliver the topic to this node."""
        self.other_nodes: dict[str, frozenset[Sender]] | None = None
        """The other nodes, each with the senders that deliver the topic to it; None: no node."""
        self.waits: dict[Wait, None] | None = None
        """The waits for this topic; None: no wait."""
        self.has_gap = False
        """Whether subscribers may lack pushes, because a sender did not confirm the topic in time."""

    @abstractmethod
    def mark_gap(self) -> None:
        """Records for every subscriber that a push may have been missed."""


class Wait:
    """Waits until every sender delivers some topics to a node; then `on_end` is called, unless it was cancelled."""

    __slots__ = ("node_id", "on_end", "topics")

    def __init__(self, node_id: str, on_end: Callable[[], None]) -> None:
        self.node_id = node_id
        self.on_end = on_end
        self.topics: set[Receivers] = set()
        """The topics that some sender does not deliver to the node yet."""


class Confirmations:
    """A topic is confirmed when every sender has announced that it delivers the topic to this node."""

    def __init__(self, node_id: str, senders: Senders, timeout: float) -> None:
        """`timeout`: how long `when_confirmed` waits, in seconds."""
        self._node_id = node_id
        self._senders = senders
        self._timeout = timeout
        # When each wait that has a timeout began, the oldest first.
        self._began: dict[Wait, float] = {}
        # Topics with waits or a gap, and for which senders they were examined.
        self._unconfirmed: dict[Receivers, None] = {}
        self._examined_for = NO_SENDERS, 0

    def __len__(self) -> int:
        """How many topics have waits or a gap."""
        return len(self._unconfirmed)

    def receives(self, stream: object, topic: Receivers, node_id: str) -> None:
        """The sender of a stream delivers a topic to a node from now on."""
        if node_id == self._node_id:
            topic.senders = self._senders.with_sender(topic.senders, stream)
        else:
            nodes = topic.other_nodes = topic.other_nodes or {}
            nodes[node_id] = self._senders.with_sender(nodes.get(node_id, NO_SENDERS), stream)
        if topic in self._unconfirmed:
            self._examine(topic)

    def no_longer_receives(self, topic: Receivers, node_id: str) -> None:
        """Another node has unsubscribed from a topic."""
        if topic.other_nodes is not None:
            topic.other_nodes.pop(node_id, None)

    def is_confirmed(self, topic: Receivers) -> bool:
        """Whether every sender delivers a topic to this node."""
        return self._senders.are_all(topic.senders)

    def when_confirmed(self, topics: Iterable[Receivers], on_end: Callable[[], None], now: float) -> Wait | None:
        """Calls back when topics are confirmed, or the timeout is over; None: they are confirmed already.

        After a timeout, the subscribers of a topic get a gap once it is confirmed: what clients load then is complete.
        """
        wait = self.when_received_by(self._node_id, topics, on_end)
        if wait is not None:
            self._began[wait] = now
        return wait

    def when_received_by(self, node_id: str, topics: Iterable[Receivers], on_end: Callable[[], None]) -> Wait | None:
        """Calls back when every sender delivers topics to a node, which may be another one; None: they do already.

        Has no timeout."""
        wait = Wait(node_id, on_end)
        for topic in topics:
            if not self._is_received(topic, node_id):
                wait.topics.add(topic)
                topic.waits = topic.waits or {}
                topic.waits[wait] = None
                self._unconfirmed[topic] = None
        return wait if wait.topics else None

    def cancel(self, wait: Wait) -> None:
        """Ends a wait without a callback, if it has not ended."""
        self._began.pop(wait, None)
        for topic in wait.topics:
            self._remove(wait, topic)
        wait.topics.clear()

    def skip(self, wait: Wait, topics: Iterable[Receivers]) -> None:
        """Waits no longer for some topics; calls back where none remains."""
        for topic in wait.topics.intersection(topics):
            self._end(wait, topic)

    def forget(self, topic: Receivers) -> None:
        """The topic has no subscribers any more."""
        self._unconfirmed.pop(topic, None)

    def expire(self, now: float) -> None:
        """Ends waits whose timeout is over."""
        if self._unconfirmed and self._examined_for != (state := self._senders.state):
            self._examined_for = state
            for topic in list(self._unconfirmed):
                self._examine(topic)
        while self._began:
            wait, began = next(iter(self._began.items()))
            if began > now - self._timeout:
                break
            for topic in wait.topics:
                topic.has_gap = True
            self.cancel(wait)
            wait.on_end()

    def _is_received(self, topic: Receivers, node_id: str) -> bool:
        if node_id == self._node_id:
            return self._senders.are_all(topic.senders)
        return self._senders.are_all((topic.other_nodes or {}).get(node_id, NO_SENDERS))

    def _examine(self, topic: Receivers) -> None:
        if topic.has_gap and self.is_confirmed(topic):
            topic.has_gap = False
            topic.mark_gap()
        for wait in list(topic.waits or ()):
            if topic in wait.topics and self._is_received(topic, wait.node_id):
                self._end(wait, topic)
        if topic.waits is None and not topic.has_gap:
            self._unconfirmed.pop(topic, None)

    def _end(self, wait: Wait, topic: Receivers) -> None:
        wait.topics.discard(topic)
        self._remove(wait, topic)
        if not wait.topics:
            self._began.pop(wait, None)
            wait.on_end()

    def _remove(self, wait: Wait, topic: Receivers) -> None:
        if topic.waits is not None:
            topic.waits.pop(wait, None)
            topic.waits = topic.waits or None
        if topic.waits is None and not topic.has_gap:
            self._unconfirmed.pop(topic, None)
