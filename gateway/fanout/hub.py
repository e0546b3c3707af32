"""The topics of this node: their subscribers, and the newest update of each topic and key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from gateway.config import Config
from gateway.fanout.conversation_topics import ConversationSubscriber, ConversationTopics
from gateway.fanout.delivery import Delivery, order_key_of
from gateway.fanout.durable_topics import DurableTopics
from gateway.fanout.feed import ConflatedFeed, Update
from gateway.fanout.subscriber import DurableSubscriber
from gateway.frames.frame import Frames
from gateway.metrics import count
from gateway.ports import Directory
from gateway.websocket.socket import Socket, send_to_all
from kit.access.domain import CONVERSATIONS, is_of_conversation

log = structlog.get_logger()
TopicName = tuple[str, str]
"""Tenant and topic."""
# The key of the feed with the state of a topic as a whole.
_STATE = ""
# Seconds for which the updates of a topic without subscribers are still sent to a subscriber that comes back.
_UPDATE_TTL = 5.0


class Subscriber(DurableSubscriber, ConversationSubscriber, Protocol):
    """A connection, as the hub sees it."""

    socket: Socket
    frames: Frames

    def mark_pending(self, feed: ConflatedFeed) -> None:
        """Marks that the feed has a new update; the connection sends it when the socket is writable."""
        ...


class _Topic:
    __slots__ = ("awaiting_version", "feeds", "groups", "retired_at")

    def __init__(self) -> None:
        self.awaiting_version: dict[Subscriber, int] | None = None
        """Subscribers that have seen a newer state than this node, with its version: they get nothing until this node
        has that version."""
        self.retired_at = 0.0
        """When the last subscriber unsubscribed."""
        self.feeds: dict[str, ConflatedFeed] = {}
        # By subprotocol, so that the inner loop of a fan-out does not test it; in the order of subscription, which is
        # about the order in memory.
        self.groups: dict[Frames, dict[Socket, Subscriber]] = {}


class Hub:
    """Topics of this node. A version sent to a subscriber is never followed by an older one (I8)."""

    def __init__(
        self,
        directory: Directory,
        durable: DurableTopics,
        conversations: ConversationTopics,
        config: Config,
        monotonic: Callable[[], float],
    ) -> None:
        self.durable = durable
        self.conversations = conversations
        self._monotonic = monotonic
        self._directory = directory
        self._slice = config.slice
        self._max_keys = config.keys_per_topic
        self._max_retired = config.retired_topics
        self._topics: dict[TopicName, _Topic] = {}
        self._retired: dict[TopicName, _Topic] = {}
        self._sent_since_yield = 0
        self._unsubscribed = 0

    def __len__(self) -> int:
        return len(self._topics) + len(self.durable)

    @property
    def retired(self) -> int:
        """The number of topics without subscribers whose versions are remembered."""
        return len(self._retired)

    def subscribe(
        self, subscriber: Subscriber, tenant: str, topics: Iterable[str], seen: Mapping[str, int] | None = None
    ) -> Sequence[ConflatedFeed]:
        """Adds a subscriber; returns the feeds that have an update for it at once.

        Topics of conversations and of their messages must have been admitted: see `ConversationTopics.admission`. The
        topic of a conversation has no update for a new subscriber, who may not be allowed to see it.

        `seen`: the version of the state that it has seen, by topic. It gets neither that version nor an older one.
        """
        ready: list[ConflatedFeed] = []
        for name in topics:
            if self.durable.is_durable(name):
                self.durable.subscribe(subscriber, tenant, name)
                continue
            is_conversation = name.startswith(CONVERSATIONS)
            if is_of_conversation(name):
                self.conversations.add(subscriber, tenant, name)
            topic = self._topics.get((tenant, name))
            if topic is None:
                topic = self._topics[tenant, name] = self._restore((tenant, name))
                if not is_conversation:
                    self._directory.subscribe(tenant, name)
            if is_conversation:
                topic.groups.setdefault(subscriber.frames, {})[subscriber.socket] = subscriber
                continue
            floor = seen.get(name, 0) if seen else 0
            state = topic.feeds.get(_STATE)
            if floor > (state.version if state is not None else 0):
                # The next update of this node may be older than one that another node has sent already.
                topic.awaiting_version = topic.awaiting_version or {}
                topic.awaiting_version[subscriber] = floor
                continue
            if topic.awaiting_version:
                topic.awaiting_version.pop(subscriber, None)
            topic.groups.setdefault(subscriber.frames, {})[subscriber.socket] = subscriber
            ready.extend(
                feed
                for feed in topic.feeds.values()
                if feed.current is not None and (feed is not state or feed.current.version > floor)
            )
        return ready

    def unsubscribe(self, subscriber: Subscriber, tenant: str, topics: Iterable[str]) -> None:
        """Removes a subscriber. Of a topic without subscribers only the versions are remembered."""
        for name in topics:
            if self.durable.is_durable(name):
                self.durable.unsubscribe(subscriber, tenant, name)
                continue
            if is_of_conversation(name):
                self.conversations.remove(subscriber, tenant, name)
            topic = self._topics.get((tenant, name))
            if topic is not None and topic.awaiting_version:
                topic.awaiting_version.pop(subscriber, None)
                topic.awaiting_version = topic.awaiting_version or None
                if not topic.groups and not topic.awaiting_version:
                    self._retire((tenant, name), topic)
                    continue
            group = topic.groups.get(subscriber.frames) if topic is not None else None
            if topic is None or group is None:
                continue
            group.pop(subscriber.socket, None)
            self._unsubscribed += 1
            if group:
                continue
            del topic.groups[subscriber.frames]
            if not topic.groups and not topic.awaiting_version:
                self._retire((tenant, name), topic)

    def feeds_of(self, tenant: str, topic: str) -> Iterable[ConflatedFeed]:
        """The feeds of a topic that has subscribers."""
        found = self._topics.get((tenant, topic))
        return () if found is None else found.feeds.values()

    def _restore(self, name: TopicName) -> _Topic:
        topic = self._retired.pop(name, None)
        if topic is None:
            return _Topic()
        if self._monotonic() - topic.retired_at > _UPDATE_TTL:
            for feed in topic.feeds.values():
                feed.drop_update()
        return topic

    def _retire(self, name: TopicName, topic: _Topic) -> None:
        if name[1].startswith(CONVERSATIONS):
            del self._topics[name]
            return
        topic.retired_at = self._monotonic()
        self._retired[name] = topic
        del self._topics[name]
        self._directory.unsubscribe(*name)
        if len(self._retired) > self._max_retired:
            del self._retired[next(iter(self._retired))]

    async def deliver(self, stream: object, delivery: Delivery) -> int:
        """Sends a push to the subscribers of its topic; returns the number of sockets. 0: no subscriber, or not newer.

        Yields to the event loop after every slice. A push that arrives while an older one of its feed is being sent
        waits for it, and replaces another that waits.
        """
        if self.durable.is_durable(delivery.topic):
            if self._sent_since_yield >= self._slice:
                self._sent_since_yield = 0
                await asyncio.sleep(0)
            sockets = self.durable.deliver(stream, delivery)
            self._sent_since_yield += sockets
            return sockets
        sockets = 0
        for topic in (delivery.topic, *delivery.other_topics):
            sockets += await self._deliver_newest(stream, delivery.on(topic))
        return sockets

    async def _deliver_newest(self, stream: object, delivery: Delivery) -> int:
        """Sends an update of one topic, of which only the newest matters."""
        is_conversation = delivery.topic.startswith(CONVERSATIONS)
        if is_conversation and not self.durable.follow(stream, delivery):
            return 0
        name = delivery.tenant, delivery.topic
        # Retired topics are updated too: if a subscriber leaves and comes back at once, fan-out may not notice, and
        # then does not send a snapshot.
        topic = self._topics.get(name) or self._retired.get(name)
        if topic is None:
            return 0
        key = order_key_of(delivery) if is_conversation else delivery.key
        feed = topic.feeds.get(key)
        if feed is None:
            feed = self._add_feed(topic, key)
        if not feed.accepts(delivery.version):
            return 0
        update = Update(delivery.topic, delivery.type, delivery.payload, delivery.version)
        if feed.is_sending:
            feed.pending = update
            return sum(map(len, topic.groups.values()))
        blind = self.conversations.blind(*name, key) if is_conversation else ()
        return await self._send_updates(topic, feed, update, blind)

    def _add_feed(self, topic: _Topic, key: str) -> ConflatedFeed:
        if len(topic.feeds) >= self._max_keys:
            oldest = next((name for name, feed in topic.feeds.items() if name and not feed.is_sending), None)
            if oldest is not None:
                del topic.feeds[oldest]
        feed = topic.feeds[key] = ConflatedFeed()
        return feed

    async def _send_updates(
        self, topic: _Topic, feed: ConflatedFeed, update: Update | None, blind: Collection[object] = ()
    ) -> int:
        """`blind`: subscribers that the feed is not sent to."""
        sockets = 0
        feed.is_sending = True
        try:
            while update is not None:
                feed.current = update
                if topic.awaiting_version:
                    self._admit_waiting(topic, feed, update.version - 1)
                for frames, group in list(topic.groups.items()):
                    try:
                        encoded = update.encoded(frames)
                    except ValueError as error:
                        # An unreadable push does not end the stream that it came on.
                        log.warning("push dropped", reason=str(error))
                        break
                    seeing = [socket for socket, one in group.items() if one not in blind] if blind else list(group)
                    sockets += await self._send(group, seeing, feed, encoded)
                if topic.awaiting_version:
                    self._admit_waiting(topic, feed, update.version)
                update, feed.pending = feed.pending, None
        finally:
            feed.is_sending = False
        return sockets

    def _admit_waiting(self, topic: _Topic, feed: ConflatedFeed, version: int) -> None:
        """Moves the subscribers that await a version up to this one into their groups."""
        if feed is not topic.feeds.get(_STATE) or topic.awaiting_version is None:
            return
        for subscriber in [one for one, floor in topic.awaiting_version.items() if floor <= version]:
            del topic.awaiting_version[subscriber]
            topic.groups.setdefault(subscriber.frames, {})[subscriber.socket] = subscriber
        topic.awaiting_version = topic.awaiting_version or None

    async def _send(
        self, group: Mapping[Socket, Subscriber], sockets: Sequence[Socket], feed: ConflatedFeed, encoded: bytes
    ) -> int:
        """Sends to these sockets of a group."""
        unsubscribed = self._unsubscribed
        at = deferred = 0
        while at < len(sockets):
            size = self._slice - self._sent_since_yield
            if size <= 0:
                self._sent_since_yield, size = 0, self._slice
                await asyncio.sleep(0)
            batch = sockets[at : at + size]
            at += len(batch)
            self._sent_since_yield += len(batch)
            if unsubscribed != self._unsubscribed:
                # Subscribers that unsubscribed meanwhile get nothing.
                batch = [socket for socket in batch if socket in group]
            for socket in send_to_all(batch, encoded):
                group[socket].mark_pending(feed)
                deferred += 1
        count("deliveries", len(sockets) - deferred)
        count("deferred", deferred)
        return len(sockets)
