"""Sessions that have no socket at the moment, and where those went that are no longer here. No I/O."""

from __future__ import annotations

from collections import defaultdict

from gateway.config import ResumeLimits
from gateway.fanout.durable_topics import DurableTopics
from gateway.sessions.replay_buffer import Trail
from plaudit.gateway.v1.node_service_pb2 import Delivery


class Departed:
    """A session between two sockets: what it would be told is kept. See `durable_topics.Listener`."""

    __slots__ = ("device", "session_id", "tenant", "topics", "trail", "until", "user")

    def __init__(
        self, session_id: str, tenant: str, user: str, device: str, topics: tuple[str, ...], trail: Trail
    ) -> None:
        """`topics`: the durable ones."""
        self.session_id = session_id
        self.tenant = tenant
        self.user = user
        self.device = device
        self.topics = topics
        self.trail = trail
        self.until = 0.0

    def tell(self, delivery: Delivery) -> None:
        """See `durable_topics.Listener`."""
        self.trail.add(delivery)

    def skip(self) -> None:
        """See `durable_topics.Listener`."""
        self.trail.skip()


class Departures:
    """Bounded, by number, in all and of a user, and by time; those that left first go first."""

    def __init__(self, limits: ResumeLimits, durable: DurableTopics) -> None:
        self._limits = limits
        self._durable = durable
        self._sessions: dict[str, Departed] = {}
        self._of_user: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._moved: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def keep(self, departed: Departed, now: float) -> list[Departed]:
        """Keeps a session for the resume window; returns those there is no more room for, which have ended."""
        departed.until = now + self._limits.window
        self._sessions[departed.session_id] = departed
        of_user = self._of_user[departed.tenant, departed.user]
        of_user[departed.session_id] = None
        self.listen(departed)
        over: list[Departed] = []
        if len(of_user) > self._limits.sessions_per_user:
            over.append(self._end(next(iter(of_user))))
        while len(self._sessions) > self._limits.sessions:
            over.append(self._end(next(iter(self._sessions))))
        return over

    def listen(self, departed: Departed) -> None:
        """Has a session's pushes kept."""
        for topic in departed.topics:
            self._durable.join(departed, departed.tenant, topic)

    def end(self, departed: Departed) -> None:
        """Ends that."""
        for topic in departed.topics:
            self._durable.leave(departed, departed.tenant, topic)

    def take(self, session_id: str) -> Departed | None:
        """Takes a session out; it still listens."""
        return self._pop(session_id) if session_id in self._sessions else None

    def drop(self, session_id: str) -> Departed | None:
        """Ends a session, if it is here."""
        return self._end(session_id) if session_id in self._sessions else None

    def expire(self, now: float) -> list[Departed]:
        """Ends those that were left for longer than the window."""
        over: list[Departed] = []
        while self._sessions and (first := next(iter(self._sessions.values()))).until <= now:
            over.append(self._end(first.session_id))
        while self._moved and (gone := next(iter(self._moved.items())))[1][1] <= now:
            del self._moved[gone[0]]
        return over

    def moved(self, session_id: str, node_id: str, now: float) -> None:
        """Remembers where a session went, for those who still ask here."""
        self._moved.pop(session_id, None)
        self._moved[session_id] = node_id, now + self._limits.window
        while len(self._moved) > self._limits.sessions:
            del self._moved[next(iter(self._moved))]

    def returned(self, session_id: str) -> None:
        """A session is here again."""
        self._moved.pop(session_id, None)

    def whereabouts(self, session_id: str) -> str:
        """The node a session went to; empty: that is not known."""
        return self._moved.get(session_id, ("", 0.0))[0]

    def _end(self, session_id: str) -> Departed:
        departed = self._pop(session_id)
        self.end(departed)
        departed.trail.close()
        return departed

    def _pop(self, session_id: str) -> Departed:
        departed = self._sessions.pop(session_id)
        user = departed.tenant, departed.user
        del self._of_user[user][session_id]
        if not self._of_user[user]:
            del self._of_user[user]
        return departed
