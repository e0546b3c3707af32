"""The sessions of a node: those with a connection, and those that wait for their client to come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway import metrics
from gateway.config import ResumeLimits
from gateway.fanout.durable_topics import DurableTopics
from gateway.ports import Directory
from gateway.sessions.connection import Connection
from gateway.sessions.detached_sessions import DetachedSession, DetachedSessions
from gateway.sessions.effects import Effect
from gateway.sessions.replay_buffer import MemoryBudget, ReplayBuffer
from gateway.sessions.session import Session
from kit.ids import new_id

# After these close codes the client does not resume the session.
_NORMAL_CLOSURE = 1000
_TERMINAL_CODES_FROM = 4500


class SessionTable:
    """Keeps the session registry informed of every session that opens, moves or ends."""

    def __init__(
        self,
        limits: ResumeLimits,
        durable: DurableTopics,
        directory: Directory,
        monotonic: Callable[[], float],
        schedule: Callable[[Connection], None],
    ) -> None:
        """`schedule` is called when the next tick of a connection's session may have changed."""
        self.limits = limits
        self.durable = durable
        self.directory = directory
        self.monotonic = monotonic
        self.connected: dict[str, Connection] = {}
        self.detached = DetachedSessions(limits, durable)
        self.replay_budget = MemoryBudget(limits.total_bytes)
        self._schedule = schedule

    def __contains__(self, session_id: str) -> bool:
        return session_id in self.connected or session_id in self.detached

    def open(self, connection: Connection, device: str) -> None:
        """Opens a new session on a connection."""
        self.attach(connection, new_id(), device)
        session = connection.session
        self.directory.opened(
            connection.session_id, session.tenant, session.user, device, token_issued=session.token_issued
        )

    def attach(self, connection: Connection, session_id: str, device: str) -> None:
        """Attaches a session, new or resumed, to a connection."""
        connection.session_id, connection.device = session_id, device
        self.connected[session_id] = connection
        self.detached.stop_forwarding(session_id)
        self._schedule(connection)
        metrics.SESSIONS.inc()

    def detach(self, connection: Connection) -> DetachedSession:
        """Detaches the session from its connection and buffers its durable pushes; `retain` or close it next."""
        session = connection.session
        connection.cancel_waits()
        connection.abandon_backlog()
        detached = DetachedSession(
            connection.session_id,
            session.tenant,
            session.user,
            connection.device,
            tuple(topic for topic in session.topics or () if self.durable.is_durable(topic)),
            self.new_replay_buffer() if connection.replay_buffer is None else connection.replay_buffer,
        )
        self.detached.subscribe(detached)
        for topic in detached.topics:
            self.durable.unsubscribe(connection, session.tenant, topic)
        connection.replay_buffer = None
        del self.connected[connection.session_id]
        connection.session_id = ""
        metrics.SESSIONS.dec()
        return detached

    def retain(self, detached: DetachedSession) -> None:
        """Retains a detached session for the resume window."""
        for ended in self.detached.add(detached, self.monotonic()):
            self.directory.closed(ended.session_id)
        metrics.DETACHED_SESSIONS.set(len(self.detached))

    def connection_closed(self, connection: Connection, code: int) -> None:
        """Keeps the session of a closed connection, or ends it where its client cannot resume it."""
        if not connection.session_id:
            return
        detached = self.detach(connection)
        is_terminal = code >= _TERMINAL_CODES_FROM and not connection.session.has_expired
        if code == _NORMAL_CLOSURE or is_terminal or not self.limits.window:
            self.detached.close(detached)
            self.directory.closed(detached.session_id)
        else:
            self.retain(detached)

    def fence(self, session_ids: Iterable[str]) -> None:
        """Ends sessions that later ones of the same device have replaced; unknown ids are ignored."""
        self._end(session_ids, Session.fenced)

    def log_out(self, session_ids: Iterable[str]) -> None:
        """Ends sessions whose user has logged out their device; unknown ids are ignored."""
        self._end(session_ids, Session.ended)

    def _end(self, session_ids: Iterable[str], end: Callable[[Session], Sequence[Effect]]) -> None:
        for session_id in session_ids:
            connection = self.connected.get(session_id)
            if connection is not None:
                connection.run(end(connection.session))
            else:
                self.detached.discard(session_id)

    def end_all_of(self, tenant: str, user: str) -> int:
        """Ends all sessions of a user, with a socket or without; returns their number."""
        open_ones = [
            connection
            for connection in self.connected.values()
            if (connection.session.tenant, connection.session.user) == (tenant, user)
        ]
        for connection in open_ones:
            connection.run(connection.session.ended())
        detached = self.detached.end_all_of(tenant, user)
        for session in detached:
            self.directory.closed(session.session_id)
        return len(open_ones) + len(detached)

    def expire(self, now: float) -> None:
        """Ends the detached sessions whose resume window is over."""
        for detached in self.detached.expire(now):
            self.directory.closed(detached.session_id)
        metrics.DETACHED_SESSIONS.set(len(self.detached))
        metrics.REPLAY_BUFFER_BYTES.set(self.replay_budget.used)

    def new_replay_buffer(self, seq: int = 0) -> ReplayBuffer:
        """A buffer for the durable pushes of a session, numbered from the one after `seq`."""
        return ReplayBuffer(self.limits, self.replay_budget, seq)
