"""Who on this node hears what: topics, their subscribers, and the last update of each topic and key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from gateway.config import Config
from gateway.fanout.durable_topics import DurableTopics, Listener
from gateway.frames.frame import Frames
from gateway.metrics import count
from gateway.ports import Directory
from gateway.websocket.socket import Socket, send_to_all
from plaudit.gateway.v1 import node_service_pb2 as pb

log = structlog.get_logger()
TopicName = tuple[str, str]
"""Tenant and topic."""
# The key of the feed that tells the state of a topic as a whole.
_STATE = ""
# Seconds for which what was known of a topic is still shown to whoever comes back to it.
_FRESH = 5.0


class Subscriber(Listener, Protocol):
    """A connection, as the hub sees it."""

    socket: Socket
    frames: Frames

    def hold(self, feed: Feed) -> None:
        """Keeps in mind that the feed has something new, until the socket can be written to."""
        ...


class Update:
    """One push, encoded once for each subprotocol that someone speaks."""

    __slots__ = ("_encoded", "_kind", "_payload", "_topic", "version")

    def __init__(self, topic: str, kind: str, payload: bytes, version: int) -> None:
        self.version = version
        self._topic = topic
        self._kind = kind
        self._payload = payload
        self._encoded: dict[Frames, bytes] = {}

    def encoded(self, frames: Frames) -> bytes:
        """The frame for the wire. Raises ValueError where the payload cannot be read."""
        found = self._encoded.get(frames)
        if found is None:
            found = self._encoded[frames] = frames.push(self._topic, self._kind, self._payload)
        return found


class Feed:
    """The updates of one topic and key, of which only the newest matters."""

    __slots__ = ("current", "floor", "newer", "running")

    def __init__(self) -> None:
        self.floor = 0
        """Nothing older may be shown."""
        self.current: Update | None = None
        """What everyone has, or is just getting."""
        self.newer: Update | None = None
        """What everyone gets next."""
        self.running = False

    def accepts(self, version: int) -> bool:
        """Whether an update of this version is news."""
        newest = self.newer or self.current
        return version >= self.floor if newest is None else version > newest.version

    @property
    def version(self) -> int:
        """The newest that everyone has, or is just getting."""
        return self.floor if self.current is None else self.current.version

    def forget(self) -> None:
        """Keeps the version, and nothing to show."""
        if self.current is not None:
            self.floor, self.current = self.current.version, None


class _Topic:
    __slots__ = ("ahead", "feeds", "groups", "left")

    def __init__(self) -> None:
        self.ahead: dict[Subscriber, int] | None = None
        """Who has seen a newer state than this node, with its version: hears nothing until this node has it, too."""
        self.left = 0.0
        """When the last subscriber left."""
        self.feeds: dict[str, Feed] = {}
        # By subprotocol, so that the inner loop of a fan-out does not have to ask; in the order of arrival, which is
        # about the order in memory.
        self.groups: dict[Frames, dict[Socket, Subscriber]] = {}


class Hub:
    """Topics of this node. A version shown to a subscriber is never followed by an older one (I8)."""

    def __init__(
        self, directory: Directory, durable: DurableTopics, config: Config, monotonic: Callable[[], float]
    ) -> None:
        self.durable = durable
        self._monotonic = monotonic
        self._directory = directory
        self._slice = config.slice
        self._keys = config.keys_per_topic
        self._max_departed = config.departed_topics
        self._topics: dict[TopicName, _Topic] = {}
        self._departed: dict[TopicName, _Topic] = {}
        self._since_yield = 0
        self._departures = 0

    def __len__(self) -> int:
        return len(self._topics) + len(self.durable)

    def subscribe(
        self, subscriber: Subscriber, tenant: str, topics: Iterable[str], seen: Mapping[str, int] | None = None
    ) -> Sequence[Feed]:
        """Adds a subscriber; returns the feeds that have something for it at once.

        `seen`: topics of which it has seen a state, with the version: neither that nor an older one is shown to it.
        """
        known: list[Feed] = []
        for name in topics:
            if self.durable.has(name):
                self.durable.join(subscriber, tenant, name)
                continue
            topic = self._topics.get((tenant, name))
            if topic is None:
                topic = self._topics[tenant, name] = self._return((tenant, name))
                self._directory.subscribe(tenant, name)
            floor = seen.get(name, 0) if seen else 0
            state = topic.feeds.get(_STATE)
            if floor > (state.version if state is not None else 0):
                # What this node is told next may be older than what another one has shown already.
                topic.ahead = topic.ahead or {}
                topic.ahead[subscriber] = floor
                continue
            if topic.ahead:
                topic.ahead.pop(subscriber, None)
            topic.groups.setdefault(subscriber.frames, {})[subscriber.socket] = subscriber
            known.extend(
                feed
                for feed in topic.feeds.values()
                if feed.current is not None and (feed is not state or feed.current.version > floor)
            )
        return known

    def unsubscribe(self, subscriber: Subscriber, tenant: str, topics: Iterable[str]) -> None:
        """Takes a subscriber away; what nobody hears is forgotten, but for its versions."""
        for name in topics:
            if self.durable.has(name):
                self.durable.leave(subscriber, tenant, name)
                continue
            topic = self._topics.get((tenant, name))
            if topic is not None and topic.ahead:
                topic.ahead.pop(subscriber, None)
                topic.ahead = topic.ahead or None
                if not topic.groups and not topic.ahead:
                    self._forget((tenant, name), topic)
                    continue
            group = topic.groups.get(subscriber.frames) if topic is not None else None
            if topic is None or group is None:
                continue
            group.pop(subscriber.socket, None)
            self._departures += 1
            if group:
                continue
            del topic.groups[subscriber.frames]
            if not topic.groups and not topic.ahead:
                self._forget((tenant, name), topic)

    def _return(self, name: TopicName) -> _Topic:
        topic = self._departed.pop(name, None)
        if topic is None:
            return _Topic()
        if self._monotonic() - topic.left > _FRESH:
            for feed in topic.feeds.values():
                feed.forget()
        return topic

    def _forget(self, name: TopicName, topic: _Topic) -> None:
        topic.left = self._monotonic()
        self._departed[name] = topic
        del self._topics[name]
        self._directory.unsubscribe(*name)
        if len(self._departed) > self._max_departed:
            del self._departed[next(iter(self._departed))]

    async def deliver(self, stream: object, delivery: pb.Delivery) -> int:
        """Brings a push to its subscribers; returns how many sockets it was meant for. 0: nobody, or no news.

        Lets the loop go on after every slice. A push that comes while an older one of its feed is still on its way
        waits for it, and only the newest of those.
        """
        if self.durable.has(delivery.topic):
            return self.durable.deliver(stream, delivery)
        name = delivery.tenant, delivery.topic
        # A topic that was left a moment ago is still kept up: who leaves and comes back at once may not have been
        # noticed by anyone, so that nobody would send what was missed.
        topic = self._topics.get(name) or self._departed.get(name)
        if topic is None:
            return 0
        feed = topic.feeds.get(delivery.key)
        if feed is None:
            feed = self._add_feed(topic, delivery.key)
        if not feed.accepts(delivery.version):
            return 0
        update = Update(delivery.topic, delivery.type, delivery.payload, delivery.version)
        if feed.running:
            feed.newer = update
            return sum(map(len, topic.groups.values()))
        return await self._run(topic, feed, update)

    def _add_feed(self, topic: _Topic, key: str) -> Feed:
        if len(topic.feeds) >= self._keys:
            oldest = next((name for name, feed in topic.feeds.items() if name and not feed.running), None)
            if oldest is not None:
                del topic.feeds[oldest]
        feed = topic.feeds[key] = Feed()
        return feed

    async def _run(self, topic: _Topic, feed: Feed, update: Update | None) -> int:
        sockets = 0
        feed.running = True
        try:
            while update is not None:
                feed.current = update
                if topic.ahead:
                    self._catch_up(topic, feed, update.version - 1)
                for frames, group in list(topic.groups.items()):
                    try:
                        encoded = update.encoded(frames)
                    except ValueError as error:
                        # One bad push is not worth the stream it came on.
                        log.warning("push dropped", reason=str(error))
                        break
                    sockets += await self._send(group, feed, encoded)
                if topic.ahead:
                    self._catch_up(topic, feed, update.version)
                update, feed.newer = feed.newer, None
        finally:
            feed.running = False
        return sockets

    def _catch_up(self, topic: _Topic, feed: Feed, version: int) -> None:
        if feed is not topic.feeds.get(_STATE) or topic.ahead is None:
            return
        for subscriber in [one for one, floor in topic.ahead.items() if floor <= version]:
            del topic.ahead[subscriber]
            topic.groups.setdefault(subscriber.frames, {})[subscriber.socket] = subscriber
        topic.ahead = topic.ahead or None

    async def _send(self, group: Mapping[Socket, Subscriber], feed: Feed, encoded: bytes) -> int:
        sockets = list(group)
        departures = self._departures
        at = held = 0
        while at < len(sockets):
            room = self._slice - self._since_yield
            if room <= 0:
                self._since_yield, room = 0, self._slice
                await asyncio.sleep(0)
            batch = sockets[at : at + room]
            at += len(batch)
            self._since_yield += len(batch)
            if departures != self._departures:
                # Who left meanwhile hears nothing any more.
                batch = [socket for socket in batch if socket in group]
            for socket in send_to_all(batch, encoded):
                group[socket].hold(feed)
                held += 1
        count("deliveries", len(sockets) - held)
        count("held", held)
        return len(sockets)
