"""Topics with durable pushes: their subscribers here, their recent pushes, and the other nodes that receive them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Protocol, TypeVar

import structlog
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from gateway.config import ResumeLimits
from gateway.contracts.tables import Tables, message_class
from gateway.ports import Directory
from plaudit.gateway.v1.node_service_pb2 import Delivery

log = structlog.get_logger()
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
TopicName = tuple[str, str]
"""Tenant and topic."""
# Seconds for a sender whose stream broke to continue its sequence on a new one.
_RECONNECT_TIMEOUT = 5.0
NODE_LEFT = -1
"""The version of a marker that says that a node no longer receives the topic."""


class DurableSubscriber(Protocol):
    """A session, with a socket or without."""

    def deliver(self, delivery: Delivery) -> None:
        """Accepts a durable push, in the order of its topic."""
        ...

    def mark_gap(self) -> None:
        """Records that a push may have been missed; the client notices it by the numbers."""
        ...


class _Topic:
    __slots__ = ("receiving_nodes", "recent", "subscribers", "unsure_until", "versions", "waiters")

    def __init__(self, unsure_until: float) -> None:
        self.subscribers: list[DurableSubscriber] = []
        self.unsure_until = unsure_until
        """Until then the senders may not know yet that this node subscribes to the topic again."""
        # The rest is created when it is needed: most topics are quiet.
        self.recent: OrderedDict[str, tuple[float, Delivery]] | None = None
        self.versions: OrderedDict[str, int] | None = None
        self.receiving_nodes: dict[str, set[object]] | None = None
        self.waiters: list[asyncio.Event] | None = None


class DurableTopics:
    """Hands each push to every subscriber once, in order; repeated pushes are dropped.

    The node stays subscribed to a topic for a moment after the last subscriber unsubscribed, so that a session that
    comes back misses nothing.
    """

    def __init__(
        self,
        directory: Directory,
        tables: Tables,
        limits: ResumeLimits,
        monotonic: Callable[[], float],
        senders: Callable[[], int],
    ) -> None:
        """`senders`: how many processes deliver to this node."""
        self._directory = directory
        self._pushes: Mapping[str, Descriptor] = tables.pushes
        self._prefixes = tuple(f"{collection}/" for collection in tables.durable)
        self._limits = limits
        self._monotonic = monotonic
        self._senders = senders
        self._topics: dict[TopicName, _Topic] = {}
        # Both with the time of the event, oldest first.
        self._idle: dict[TopicName, float] = {}
        self._unsubscribed: dict[TopicName, float] = {}
        self._streams: dict[object, str] = {}
        # Sequences whose stream ended, and when.
        self._interrupted: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._topics) - len(self._idle)

    def is_durable(self, topic: str) -> bool:
        """Whether pushes on a topic are durable."""
        return topic.startswith(self._prefixes) if self._prefixes else False

    def subscribe(self, subscriber: DurableSubscriber, tenant: str, name: str) -> None:
        """Delivers the pushes of a topic to a subscriber from now on."""
        topic = self._topics.get((tenant, name))
        if topic is None:
            unsubscribed_at = self._unsubscribed.pop((tenant, name), None)
            unsure_until = 0.0 if unsubscribed_at is None else unsubscribed_at + self._limits.linger
            topic = self._topics[tenant, name] = _Topic(unsure_until)
            self._directory.subscribe(tenant, name)
        self._idle.pop((tenant, name), None)
        if subscriber not in topic.subscribers:
            topic.subscribers.append(subscriber)

    def unsubscribe(self, subscriber: DurableSubscriber, tenant: str, name: str) -> None:
        """Removes a subscriber from a topic, if it is subscribed."""
        topic = self._topics.get((tenant, name))
        if topic is None or subscriber not in topic.subscribers:
            return
        topic.subscribers.remove(subscriber)
        if not topic.subscribers:
            self._idle[tenant, name] = self._monotonic()

    def deliver(self, stream: object, delivery: Delivery) -> int:
        """Delivers a push that arrived on a stream; returns the number of its subscribers."""
        topic = self._topics.get((delivery.tenant, delivery.topic))
        if topic is None:
            return 0
        if not delivery.type:
            self._apply_marker(stream, topic, delivery)
            return 0
        if topic.recent is None or topic.versions is None:
            topic.recent, topic.versions = OrderedDict(), OrderedDict()
        recent, versions, order_key = topic.recent, topic.versions, order_key_of(delivery)
        if versions.get(order_key, -1) >= delivery.version or not self._is_readable(delivery):
            return 0
        _put(versions, order_key, delivery.version, self._limits.order_keys)
        _put(recent, delivery.key, (self._monotonic(), delivery), self._limits.recent)
        subscribers = list(topic.subscribers)
        for subscriber in subscribers:
            subscriber.deliver(delivery)
        return len(subscribers)

    def recent(self, tenant: str, name: str, seconds: float = float("inf")) -> Sequence[Delivery]:
        """The pushes of the last `seconds`, oldest first, only the newest of each key."""
        topic = self._topics.get((tenant, name))
        since = self._monotonic() - seconds
        return [delivery for at, delivery in (topic.recent or {}).values() if at >= since] if topic else ()

    def is_certain(self, tenant: str, name: str) -> bool:
        """Whether the senders know that this node is subscribed: it did not unsubscribe a moment ago."""
        topic = self._topics.get((tenant, name))
        return topic is not None and self._monotonic() >= topic.unsure_until and self._directory.is_attached()

    async def wait_until_received_by(self, tenant: str, name: str, node_id: str, seconds: float) -> bool:
        """Waits until all senders deliver the topic to another node too; False: not known after `seconds`."""
        topic = self._topics.get((tenant, name))
        if topic is None:
            return False
        changed = asyncio.Event()
        topic.waiters = [*(topic.waiters or ()), changed]
        try:
            async with asyncio.timeout(seconds):
                while not self._is_received_from_all(topic, node_id):
                    changed.clear()
                    await changed.wait()
            return self._directory.is_attached()
        except TimeoutError:
            return False
        finally:
            topic.waiters = [one for one in topic.waiters or () if one is not changed] or None

    def stream_continues(self, stream: object, sequence: str) -> None:
        """Records that what arrives on a stream from now on belongs to a sequence (see `DeliverRequest`)."""
        before = self._streams.get(stream)
        if before == sequence:
            return
        self._streams[stream] = sequence
        if sequence and self._interrupted.pop(sequence, None) is None:
            self._mark_gaps()

    def stream_ended(self, stream: object) -> None:
        """Records that a stream ended."""
        sequence = self._streams.pop(stream, "")
        if sequence:
            self._interrupted[sequence] = self._monotonic()

    def expire(self, now: float) -> None:
        """Unsubscribes from topics that were idle for long enough, and gives up sequences that did not continue."""
        for name in _until(self._idle, now - self._limits.linger):
            del self._idle[name], self._topics[name]
            self._unsubscribed[name] = now
            self._directory.unsubscribe(*name)
        expired = _until(self._interrupted, now - _RECONNECT_TIMEOUT)
        for sequence in expired:
            del self._interrupted[sequence]
        if expired:
            self._mark_gaps()
        for name in _until(self._unsubscribed, now - self._limits.linger):
            del self._unsubscribed[name]

    def _mark_gaps(self) -> None:
        if not len(self):
            return
        log.info("durable pushes may have been missed: clients reload", topics=len(self))
        for topic in self._topics.values():
            for subscriber in topic.subscribers:
                subscriber.mark_gap()

    def _apply_marker(self, stream: object, topic: _Topic, marker: Delivery) -> None:
        nodes = topic.receiving_nodes = topic.receiving_nodes or {}
        if marker.version == NODE_LEFT:
            nodes.pop(marker.key, None)
            return
        nodes.setdefault(marker.key, set()).add(stream)
        nodes[marker.key] &= self._streams.keys()
        for changed in topic.waiters or ():
            changed.set()

    def _is_received_from_all(self, topic: _Topic, node_id: str) -> bool:
        streams = (topic.receiving_nodes or {}).get(node_id, set()) & self._streams.keys()
        return 0 < self._senders() <= len(streams)

    def _is_readable(self, delivery: Delivery) -> bool:
        descriptor = self._pushes.get(delivery.type)
        try:
            if descriptor is None:
                raise DecodeError
            message_class(descriptor).FromString(delivery.payload)
        except DecodeError:
            # An unreadable push does not end the stream that it came on.
            log.warning("push dropped: its message cannot be read", type=delivery.type)
            return False
        return True


def order_key_of(delivery: Delivery) -> str:
    """The key of the order: a delivery whose version is not above the last one of its topic and key is a repetition."""
    return delivery.order_key or delivery.key


def _put(entries: OrderedDict[str, _Value], key: str, value: _Value, limit: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > limit:
        entries.popitem(last=False)


def _until(times: Mapping[_Key, float], moment: float) -> list[_Key]:
    return [name for name, _ in takewhile(lambda item: item[1] <= moment, times.items())]
