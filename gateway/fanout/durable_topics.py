"""Topics with durable pushes: which there are here, what is delivered to them, and the nodes that receive them.

Other pushes on such a topic are sent to the subscribers there are, and not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TypeVar

import structlog

from gateway.config import ResumeLimits
from gateway.contracts.tables import Tables
from gateway.fanout.codec import PushReader
from gateway.fanout.confirmations import Confirmations, Wait
from gateway.fanout.delivery import Delivery, order_key_of
from gateway.fanout.durable_topic import DurableTopic
from gateway.fanout.feed import ConflatedFeed, Update
from gateway.fanout.senders import Senders
from gateway.fanout.subscriber import DurableSubscriber
from gateway.metrics import count
from gateway.ports import Directory

log = structlog.get_logger()
_Key = TypeVar("_Key")
TopicName = tuple[str, str]
"""Tenant and topic."""
NODE_LEFT = -1
"""The version of a marker that says that a node no longer receives the topic."""
# Seconds for which a topic without subscribers stays subscribed where a sender does not confirm it.
_MAX_UNCONFIRMED = 60.0


class DurableTopics:
    """Hands each push to every subscriber once, in order; repeated pushes are dropped.

    The node stays subscribed to a topic for a moment after the last subscriber unsubscribed, so that a session that
    comes back misses nothing.
    """

    def __init__(
        self,
        node_id: str,
        directory: Directory,
        tables: Tables,
        limits: ResumeLimits,
        monotonic: Callable[[], float],
        senders: Callable[[], int],
    ) -> None:
        """`senders`: how many processes deliver to this node."""
        self._directory = directory
        self._reader = PushReader(tables.pushes)
        self._prefixes = tuple(f"{collection}/" for collection in tables.durable)
        self._durable_pushes = tables.durable_pushes
        self._limits = limits
        self._monotonic = monotonic
        self._senders = Senders(senders)
        self._confirmations = Confirmations(node_id, self._senders, limits.confirmation)
        self._topics: dict[TopicName, DurableTopic] = {}
        # Both with the time of the event, oldest first.
        self._idle: dict[TopicName, float] = {}
        self._unsubscribed: dict[TopicName, float] = {}

    def __len__(self) -> int:
        return len(self._topics) - len(self._idle)

    @property
    def unconfirmed(self) -> int:
        """How many topics have waits for senders, or a gap because the waits were too long."""
        return len(self._confirmations)

    def is_durable(self, topic: str) -> bool:
        """Whether a topic has durable pushes."""
        return topic.startswith(self._prefixes) if self._prefixes else False

    def subscribe(self, subscriber: DurableSubscriber, tenant: str, name: str) -> None:
        """Delivers the pushes of a topic to a subscriber from now on."""
        topic = self._topics.get((tenant, name))
        if topic is None:
            unsubscribed_at = self._unsubscribed.pop((tenant, name), None)
            unsure_until = 0.0 if unsubscribed_at is None else unsubscribed_at + self._limits.linger
            topic = self._topics[tenant, name] = DurableTopic(name, unsure_until)
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
            topic.idle_since = self._idle[tenant, name] = self._monotonic()

    def deliver(self, stream: object, delivery: Delivery) -> int:
        """Delivers a push that arrived on a stream to its topics; returns the number of their subscribers."""
        topics = self._found(delivery.tenant, (delivery.topic, *delivery.other_topics))
        if not topics:
            return 0
        if not delivery.type:
            for topic in topics:
                self._apply_marker(stream, topic, delivery)
            return 0
        if not self._reader.is_readable(delivery):
            return 0
        order_key, limits = order_key_of(delivery), self._limits
        if delivery.type not in self._durable_pushes:
            version = delivery.version
            topics = [topic for topic in topics if topic.accepts_unkept(order_key, version, limits)]
            return sum(_show(topic, delivery) for topic in topics)
        # What is kept of it is shared by all sessions, and needs no list of topics.
        delivery = delivery.on(delivery.topic)
        received = self._monotonic(), delivery
        subscribers = [
            subscriber
            for topic in topics
            if topic.accepts(order_key, received, limits)
            for subscriber in topic.subscribers
        ]
        count("deliveries", sum([subscriber.deliver(delivery) for subscriber in subscribers]))
        return len(subscribers)

    def follow(self, stream: object, delivery: Delivery) -> bool:
        """Reads a delivery of a topic without durable pushes; returns whether it is a push that is to be sent."""
        topic = self._topics.get((delivery.tenant, delivery.topic))
        if topic is None:
            return False
        if delivery.removed_users or delivery.ends_subscriptions:
            for subscriber in list(topic.subscribers):
                subscriber.deliver(delivery)
        elif not delivery.type:
            self._apply_marker(stream, topic, delivery)
        return bool(delivery.type)

    def recent(self, tenant: str, name: str, seconds: float = float("inf")) -> Sequence[Delivery]:
        """The pushes of the last `seconds`, oldest first, only the newest of each key."""
        topic = self._topics.get((tenant, name))
        return () if topic is None else topic.recent(self._monotonic() - seconds)

    def is_certain(self, tenant: str, name: str) -> bool:
        """Whether what other nodes know of this node's subscription is true: it did not unsubscribe a moment ago, and
        the topic is confirmed."""
        topic = self._topics.get((tenant, name))
        return (
            topic is not None
            and self._monotonic() >= topic.unsure_until
            and self._directory.is_attached()
            and self._confirmations.is_confirmed(topic)
        )

    def is_confirmed(self, tenant: str, name: str) -> bool:
        """Whether every sender delivers the topic to this node: each push about what happens from now on arrives."""
        topic = self._topics.get((tenant, name))
        return topic is not None and self._confirmations.is_confirmed(topic)

    def when_confirmed(self, tenant: str, names: Iterable[str], on_end: Callable[[], None]) -> Wait | None:
        """Calls back when topics are confirmed, at the latest after `ResumeLimits.confirmation`; None: they are.

        Where a topic is not confirmed in time, its subscribers get a gap when it is.
        """
        return self._confirmations.when_confirmed(self._found(tenant, names), on_end, self._monotonic())

    def skip(self, wait: Wait, tenant: str, names: Iterable[str]) -> None:
        """Waits no longer for some topics; calls back where none remains."""
        self._confirmations.skip(wait, self._found(tenant, names))

    def cancel(self, wait: Wait) -> None:
        """Ends a wait without a callback, if it has not ended."""
        self._confirmations.cancel(wait)

    async def wait_until_confirmed(self, tenant: str, names: Iterable[str]) -> None:
        """As `when_confirmed`, awaited."""
        ended = asyncio.Event()
        wait = self.when_confirmed(tenant, names, ended.set)
        if wait is None:
            return
        try:
            await ended.wait()
        finally:
            self.cancel(wait)

    async def wait_until_received_by(self, tenant: str, name: str, node_id: str, seconds: float) -> bool:
        """Waits until all senders deliver the topic to another node too.

        False: not known after `seconds`, or pushes may be missing here already.
        """
        topic = self._topics.get((tenant, name))
        if topic is None:
            return False
        ended = asyncio.Event()
        wait = self._confirmations.when_received_by(node_id, (topic,), ended.set)
        if wait is not None:
            try:
                async with asyncio.timeout(seconds):
                    await ended.wait()
            except TimeoutError:
                return False
            finally:
                self.cancel(wait)
        return self._directory.is_attached() and not topic.has_gap

    def stream_continues(self, stream: object, sequence: str) -> None:
        """Records that what arrives on a stream from now on belongs to a sequence (see `DeliverRequest`)."""
        if self._senders.stream_continues(stream, sequence):
            self._mark_gaps()

    def stream_ended(self, stream: object) -> None:
        """Records that a stream ended."""
        self._senders.stream_ended(stream, self._monotonic())

    def expire(self, now: float) -> None:
        """Unsubscribes from topics that were idle for long enough, ends waits, and gives up sequences that did not
        continue."""
        for name in _until(self._idle, now - self._limits.linger):
            del self._idle[name]
            self._expire_idle(name, now)
        if self._senders.expire(now):
            self._mark_gaps()
        for name in _until(self._unsubscribed, now - self._limits.linger):
            del self._unsubscribed[name]
        self._confirmations.expire(now)

    def _expire_idle(self, name: TopicName, now: float) -> None:
        topic = self._topics[name]
        is_unconfirmed = self._senders.are_expected and not self._confirmations.is_confirmed(topic)
        if is_unconfirmed and now < topic.idle_since + _MAX_UNCONFIRMED:
            # A confirmation that is on its way must not be taken for one of the next subscription.
            self._idle[name] = now
            return
        del self._topics[name]
        self._confirmations.forget(topic)
        self._unsubscribed[name] = now
        self._directory.unsubscribe(*name)

    def _found(self, tenant: str, names: Iterable[str]) -> list[DurableTopic]:
        return [topic for name in names if (topic := self._topics.get((tenant, name))) is not None]

    def _mark_gaps(self) -> None:
        if not len(self):
            return
        log.info("durable pushes may have been missed: clients reload", topics=len(self))
        for topic in self._topics.values():
            topic.mark_gap()

    def _apply_marker(self, stream: object, topic: DurableTopic, marker: Delivery) -> None:
        if marker.version == NODE_LEFT:
            self._confirmations.no_longer_receives(topic, marker.key)
        else:
            self._confirmations.receives(stream, topic, marker.key)


def _show(topic: DurableTopic, delivery: Delivery) -> int:
    """Sends a push that is not durable to the subscribers there are; returns their number."""
    feed = ConflatedFeed()
    feed.current = Update(topic.name, delivery.type, delivery.payload, delivery.version)
    subscribers = list(topic.subscribers)
    for subscriber in subscribers:
        subscriber.show(feed)
    return len(subscribers)


def _until(times: Mapping[_Key, float], moment: float) -> list[_Key]:
    return [name for name, _ in takewhile(lambda item: item[1] <= moment, times.items())]
