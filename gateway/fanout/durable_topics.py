"""Topics whose pushes are durable: who hears them here, what came lately, and which other nodes hear them, too."""

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
# Seconds for a sender whose stream broke to go on with its sequence.
_RETURN = 5.0
NO_LONGER = -1
"""The version of a marker that says that a node has left the topic."""


class Listener(Protocol):
    """A session, with a socket or without."""

    def tell(self, delivery: Delivery) -> None:
        """A durable push, in the order of its topic."""
        ...

    def skip(self) -> None:
        """One was perhaps missed: the client finds out by its number."""
        ...


class _Topic:
    __slots__ = ("joined", "listeners", "recent", "unsure_until", "versions", "waiting")

    def __init__(self, unsure_until: float) -> None:
        self.listeners: list[Listener] = []
        self.unsure_until = unsure_until
        """Until then who delivers here may not have heard that the topic is wanted again."""
        # The rest is made when there is something to remember: most topics are quiet.
        self.recent: OrderedDict[str, tuple[float, Delivery]] | None = None
        self.versions: OrderedDict[str, int] | None = None
        self.joined: dict[str, set[object]] | None = None
        self.waiting: list[asyncio.Event] | None = None


class DurableTopics:
    """What comes on them is handed to every listener once, in order; repetitions are dropped.

    A topic stays wanted for a moment after its last listener has left, so that nothing is missed by who comes back.
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
        # Both by the time at which it happened, longest ago first.
        self._left: dict[TopicName, float] = {}
        self._unwanted: dict[TopicName, float] = {}
        self._streams: dict[object, str] = {}
        # Sequences whose stream ended, and when.
        self._broken: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._topics) - len(self._left)

    def has(self, topic: str) -> bool:
        """Whether pushes on a topic are durable."""
        return topic.startswith(self._prefixes) if self._prefixes else False

    def join(self, listener: Listener, tenant: str, name: str) -> None:
        """Hands what comes to a listener from now on."""
        topic = self._topics.get((tenant, name))
        if topic is None:
            left = self._unwanted.pop((tenant, name), None)
            unsure_until = 0.0 if left is None else left + self._limits.linger
            topic = self._topics[tenant, name] = _Topic(unsure_until)
            self._directory.subscribe(tenant, name)
        self._left.pop((tenant, name), None)
        if listener not in topic.listeners:
            topic.listeners.append(listener)

    def leave(self, listener: Listener, tenant: str, name: str) -> None:
        """Ends that."""
        topic = self._topics.get((tenant, name))
        if topic is None or listener not in topic.listeners:
            return
        topic.listeners.remove(listener)
        if not topic.listeners:
            self._left[tenant, name] = self._monotonic()

    def deliver(self, stream: object, delivery: Delivery) -> int:
        """Takes in what came on a stream; returns how many listeners it was for."""
        topic = self._topics.get((delivery.tenant, delivery.topic))
        if topic is None:
            return 0
        if not delivery.type:
            self._mark(stream, topic, delivery)
            return 0
        if topic.recent is None or topic.versions is None:
            topic.recent, topic.versions = OrderedDict(), OrderedDict()
        recent, versions, order_key = topic.recent, topic.versions, order_key_of(delivery)
        if versions.get(order_key, -1) >= delivery.version or not self._is_readable(delivery):
            return 0
        _put(versions, order_key, delivery.version, self._limits.order_keys)
        _put(recent, delivery.key, (self._monotonic(), delivery), self._limits.recent)
        listeners = list(topic.listeners)
        for listener in listeners:
            listener.tell(delivery)
        return len(listeners)

    def recent(self, tenant: str, name: str, seconds: float = float("inf")) -> Sequence[Delivery]:
        """What came in the last so many seconds, oldest first, and the newest of each key only."""
        topic = self._topics.get((tenant, name))
        since = self._monotonic() - seconds
        return [delivery for at, delivery in (topic.recent or {}).values() if at >= since] if topic else ()

    def is_sure(self, tenant: str, name: str) -> bool:
        """Whether this node is told of the topic from the next marker on: it did not leave it a moment ago."""
        topic = self._topics.get((tenant, name))
        return topic is not None and self._monotonic() >= topic.unsure_until and self._directory.is_attached()

    async def reaches(self, tenant: str, name: str, node_id: str, seconds: float) -> bool:
        """Waits until everything that will come from now on goes to another node, too; False: that is not known."""
        topic = self._topics.get((tenant, name))
        if topic is None:
            return False
        news = asyncio.Event()
        topic.waiting = [*(topic.waiting or ()), news]
        try:
            async with asyncio.timeout(seconds):
                while not self._all_have_told(topic, node_id):
                    news.clear()
                    await news.wait()
            return self._directory.is_attached()
        except TimeoutError:
            return False
        finally:
            topic.waiting = [one for one in topic.waiting or () if one is not news] or None

    def stream_goes_on(self, stream: object, sequence: str) -> None:
        """Somebody delivers to this node; what comes now belongs to a sequence (see `DeliverRequest`)."""
        before = self._streams.get(stream)
        if before == sequence:
            return
        self._streams[stream] = sequence
        if sequence and self._broken.pop(sequence, None) is None:
            self._skip()

    def stream_ended(self, stream: object) -> None:
        """And no longer does."""
        sequence = self._streams.pop(stream, "")
        if sequence:
            self._broken[sequence] = self._monotonic()

    def expire(self, now: float) -> None:
        """Wants no longer what was left long enough ago."""
        for name in _until(self._left, now - self._limits.linger):
            del self._left[name], self._topics[name]
            self._unwanted[name] = now
            self._directory.unsubscribe(*name)
        over = _until(self._broken, now - _RETURN)
        for sequence in over:
            del self._broken[sequence]
        if over:
            self._skip()
        for name in _until(self._unwanted, now - self._limits.linger):
            del self._unwanted[name]

    def _skip(self) -> None:
        log.info("durable pushes were perhaps missed: clients are told", topics=len(self))
        for topic in self._topics.values():
            for listener in topic.listeners:
                listener.skip()

    def _mark(self, stream: object, topic: _Topic, marker: Delivery) -> None:
        joined = topic.joined = topic.joined or {}
        if marker.version == NO_LONGER:
            joined.pop(marker.key, None)
            return
        joined.setdefault(marker.key, set()).add(stream)
        joined[marker.key] &= self._streams.keys()
        for news in topic.waiting or ():
            news.set()

    def _all_have_told(self, topic: _Topic, node_id: str) -> bool:
        told = (topic.joined or {}).get(node_id, set()) & self._streams.keys()
        return 0 < self._senders() <= len(told)

    def _is_readable(self, delivery: Delivery) -> bool:
        descriptor = self._pushes.get(delivery.type)
        try:
            if descriptor is None:
                raise DecodeError
            message_class(descriptor).FromString(delivery.payload)
        except DecodeError:
            # One bad push is not worth the stream it came on.
            log.warning("push dropped: its message cannot be read", type=delivery.type)
            return False
        return True


def order_key_of(delivery: Delivery) -> str:
    """Of the deliveries with one topic and this, what is not newer than another comes again."""
    return delivery.order_key or delivery.key


def _put(known: OrderedDict[str, _Value], key: str, value: _Value, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)


def _until(times: Mapping[_Key, float], moment: float) -> list[_Key]:
    return [name for name, _ in takewhile(lambda item: item[1] <= moment, times.items())]
