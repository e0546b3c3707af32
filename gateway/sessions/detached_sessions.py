"""Sessions without a socket, and the nodes that sessions moved to. No I/O."""

from __future__ import annotations

from collections import defaultdict

from gateway.config import ResumeLimits
from gateway.fanout.delivery import Delivery
from gateway.fanout.durable_topics import DurableTopics
from gateway.fanout.feed import ConflatedFeed
from gateway.sessions.replay_buffer import ReplayBuffer


class DetachedSession:
    """A session between two sockets: its durable pushes are buffered. See `subscriber.DurableSubscriber`."""

    __slots__ = ("device", "expires_at", "replay_buffer", "session_id", "tenant", "topics", "user")

    def __init__(
        self,
        session_id: str,
        tenant: str,
        user: str,
        device: str,
        topics: tuple[str, ...],
        replay_buffer: ReplayBuffer,
    ) -> None:
        """`topics`: the durable ones."""
        self.session_id = session_id
        self.tenant = tenant
        self.user = user
        self.device = device
        self.topics = topics
        self.replay_buffer = replay_buffer
        self.expires_at = 0.0

    def deliver(self, delivery: Delivery) -> int:
        """See `subscriber.DurableSubscriber`."""
        self.replay_buffer.add(delivery)
        return 0

    def mark_gap(self) -> None:
        """See `subscriber.DurableSubscriber`."""
        self.replay_buffer.mark_gap()

    def show(self, feed: ConflatedFeed) -> None:
        """See `subscriber.DurableSubscriber`. Nothing is kept: a client that comes back loads the state."""


class DetachedSessions:
    """Bounded by number, in total and per user, and by time; the sessions detached first are dropped first."""

    def __init__(self, limits: ResumeLimits, durable: DurableTopics) -> None:
        self._limits = limits
        self._durable = durable
        self._sessions: dict[str, DetachedSession] = {}
        self._by_user: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._forwarding: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def add(self, detached: DetachedSession, now: float) -> list[DetachedSession]:
        """Keeps a session for the resume window; returns the sessions that ended because a limit was exceeded."""
        detached.expires_at = now + self._limits.window
        self._sessions[detached.session_id] = detached
        of_user = self._by_user[detached.tenant, detached.user]
        of_user[detached.session_id] = None
        self.subscribe(detached)
        ended: list[DetachedSession] = []
        if len(of_user) > self._limits.sessions_per_user:
            ended.append(self._end(next(iter(of_user))))
        while len(self._sessions) > self._limits.sessions:
            ended.append(self._end(next(iter(self._sessions))))
        return ended

    def subscribe(self, detached: DetachedSession) -> None:
        """Buffers the durable pushes of a session from now on."""
        for topic in detached.topics:
            self._durable.subscribe(detached, detached.tenant, topic)

    def close(self, detached: DetachedSession) -> None:
        """Ends its subscriptions and drops its buffered pushes."""
        for topic in detached.topics:
            self._durable.unsubscribe(detached, detached.tenant, topic)
        detached.replay_buffer.close()

    def remove(self, session_id: str) -> DetachedSession | None:
        """Removes a session, which stays subscribed until `close`; None: it is not here."""
        return self._remove(session_id) if session_id in self._sessions else None

    def discard(self, session_id: str) -> None:
        """Ends a session, if it is here."""
        if session_id in self._sessions:
            self._end(session_id)

    def end_all_of(self, tenant: str, user: str) -> list[DetachedSession]:
        """Ends and returns all sessions of a user."""
        return [self._end(session_id) for session_id in list(self._by_user.get((tenant, user), ()))]

    def expire(self, now: float) -> list[DetachedSession]:
        """Ends and returns the sessions whose resume window is over."""
        ended: list[DetachedSession] = []
        while self._sessions and (first := next(iter(self._sessions.values()))).expires_at <= now:
            ended.append(self._end(first.session_id))
        while self._forwarding and (oldest := next(iter(self._forwarding.items())))[1][1] <= now:
            del self._forwarding[oldest[0]]
        return ended

    def forward(self, session_id: str, node_id: str, now: float) -> None:
        """Remembers the node a session moved to, for requests that still arrive here."""
        self._forwarding.pop(session_id, None)
        self._forwarding[session_id] = node_id, now + self._limits.window
        while len(self._forwarding) > self._limits.sessions:
            del self._forwarding[next(iter(self._forwarding))]

    def stop_forwarding(self, session_id: str) -> None:
        """Forgets the node a session moved to: the session is here again."""
        self._forwarding.pop(session_id, None)

    def forwarding_node(self, session_id: str) -> str:
        """The node a session moved to; empty: unknown."""
        return self._forwarding.get(session_id, ("", 0.0))[0]

    def _end(self, session_id: str) -> DetachedSession:
        detached = self._remove(session_id)
        self.close(detached)
        return detached

    def _remove(self, session_id: str) -> DetachedSession:
        detached = self._sessions.pop(session_id)
        user = detached.tenant, detached.user
        del self._by_user[user][session_id]
        if not self._by_user[user]:
            del self._by_user[user]
        return detached
