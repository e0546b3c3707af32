"""A gateway node: its connections and sessions, their timers, and the drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from gateway import metrics
from gateway.admission.admission import Admission, draining_refusal
from gateway.admission.token_renewal import TokenRenewals
from gateway.config import Config
from gateway.contracts.service_names import FANOUT, GATEWAY
from gateway.contracts.tables import Tables
from gateway.fanout.conversation_topics import ConversationTopics
from gateway.fanout.durable_topics import DurableTopics
from gateway.fanout.hub import Hub
from gateway.fanout.pause_detector import PauseDetector
from gateway.frames.frame import Frames, RenewToken, Resume
from gateway.frames.json_frames import JsonFrames
from gateway.frames.proto_frames import ProtoFrames
from gateway.http.head import Refuse
from gateway.ports import Calls, Directory
from gateway.sessions.backlog import Backlogs
from gateway.sessions.connection import Connection
from gateway.sessions.device_acks import DeviceAcks
from gateway.sessions.draining import drain_connections
from gateway.sessions.frame_codec import SessionFrames
from gateway.sessions.grpc_sessions import GrpcSessions
from gateway.sessions.handover import Moved, SessionSnapshot
from gateway.sessions.replay_buffer import ReplayBuffer
from gateway.sessions.resume_token import ResumeTokens
from gateway.sessions.resumption import Resumption
from gateway.sessions.session_locator import SessionLocator
from gateway.sessions.session_table import SessionTable
from gateway.websocket.handshake import Accept, Handshake
from kit.access.mesh_source import MeshAccessSource
from kit.auth.tokens import Verifier
from kit.clock import Clock
from kit.limits.budget import Budgets
from kit.timing_wheel import TimingWheel

Spawn = Callable[[Coroutine[Any, Any, None]], object]
_TICK = 0.5


class Node:
    """All connections of one process. See `host.ConnectionHost`."""

    def __init__(
        self,
        node_id: str,
        config: Config,
        tables: Tables,
        calls: Calls,
        directory: Directory,
        verifier: Verifier,
        clock: Clock,
        *,
        secret: bytes,
        spawn: Spawn,
    ) -> None:
        """`secret` seals resume tokens: the same on all nodes. `spawn` runs a task in the background."""
        self.config = config
        self.calls = calls
        self.draining = False
        self.monotonic = clock.monotonic
        self.durable = DurableTopics(
            node_id, directory, tables, config.resume, clock.monotonic, lambda: len(calls.addresses(FANOUT))
        )
        conversations = ConversationTopics(MeshAccessSource(calls), self.durable)
        self.hub = Hub(directory, self.durable, conversations, config, clock.monotonic)
        self.pause_detector = PauseDetector(directory, clock.monotonic)
        self.sessions = SessionTable(config.resume, self.durable, directory, clock.monotonic, self.schedule)
        # A lost client may be silent for this long before the resume window begins.
        tokens = ResumeTokens(secret, clock, config.resume.window + config.session.silence)
        self.session_frames = SessionFrames(node_id, config, tokens, clock)
        frames: list[Frames] = [JsonFrames(tables), ProtoFrames(tables)]
        self.admission = Admission(config, {each.subprotocol: each for each in frames}, verifier, clock, spawn)
        self.device_acks = DeviceAcks(calls)
        self.budgets = Budgets(config.bytes_per_user, config.bytes_burst)
        self._clock = clock
        self._spawn = spawn
        self._verifier = verifier
        self._revoked: frozenset[str] = frozenset()
        self._renewals = TokenRenewals(verifier, clock, self.session_frames, spawn, self.schedule)
        self._connections: set[Connection] = set()
        self._timers: TimingWheel[Connection] = TimingWheel(clock.monotonic())
        self._unflushed: list[Connection] = []
        remote = GrpcSessions(node_id, calls, config.resume.take_over)
        locator = SessionLocator(node_id, remote, self.sessions.detached.forwarding_node)
        self._backlogs = Backlogs(calls, self.durable, self.session_frames, self.is_open, spawn)
        self._resumption = Resumption(
            self.sessions,
            self.session_frames,
            tokens,
            locator,
            self.device_acks,
            self._backlogs,
            self.is_open,
            spawn,
        )

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def is_empty(self) -> bool:
        """Whether no session is here, with a socket or without."""
        return not self._connections and not len(self.sessions.detached)

    def accept(self, handshake: Handshake) -> Accept | Refuse:
        """Decides about a handshake. See `head_protocol.Acceptor`."""
        return draining_refusal() if self.draining else self.admission.decide(handshake, partial(Connection, self))

    def connection_opened(self, connection: Connection) -> None:
        """See `host.ConnectionHost`."""
        self._connections.add(connection)
        self.admission.connection_opened(connection.session, connection.socket.peer[0])
        self.schedule(connection)
        metrics.CONNECTIONS.inc()

    def connection_closed(self, connection: Connection, code: int) -> None:
        """See `host.ConnectionHost`."""
        session = connection.session
        self._timers.remove(connection)
        self._connections.discard(connection)
        self.admission.connection_closed(session, connection.socket.peer[0])
        self.sessions.connection_closed(connection, code)
        if session.topics:
            self.hub.unsubscribe(connection, session.tenant, session.topics)
        metrics.CONNECTIONS.dec()
        metrics.TOPICS.set(len(self.hub))
        metrics.closes[code] += 1

    def is_open(self, connection: Connection) -> bool:
        """See `host.ConnectionHost`."""
        return connection in self._connections

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """See `host.ConnectionHost`."""
        self._spawn(work)

    def open_session(self, connection: Connection, device: str) -> None:
        """See `host.ConnectionHost`."""
        self.sessions.open(connection, device)

    def resume(self, connection: Connection, frame: Resume) -> None:
        """See `host.ConnectionHost`."""
        self._resumption.resume(connection, frame)

    def start_backlog(self, connection: Connection) -> None:
        """See `host.ConnectionHost`."""
        self._backlogs.start(connection)

    def renew_token(self, connection: Connection, frame: RenewToken) -> None:
        """See `host.ConnectionHost`."""
        self._renewals.renew(connection, frame)

    def new_replay_buffer(self) -> ReplayBuffer:
        """See `host.ConnectionHost`."""
        return self.sessions.new_replay_buffer()

    async def release_session(
        self, tenant: str, user: str, session_id: str, *, to_node: str
    ) -> SessionSnapshot | Moved:
        """Releases a session to another node. Raises NoSuchSession."""
        return await self._resumption.release_session(tenant, user, session_id, to_node)

    def schedule(self, connection: Connection) -> None:
        """See `host.ConnectionHost`. Ignores connections that have closed."""
        if connection in self._connections:
            self._timers.put(connection, connection.session.due)

    def flush_later(self, connection: Connection) -> None:
        """See `host.ConnectionHost`. Answers that arrive together cost one write."""
        if not self._unflushed:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unflushed.append(connection)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        for connection in unflushed:
            connection.flush()

    def tick(self) -> None:
        """Executes everything that is due: timers of sessions, revocations, expirations."""
        now, wall = self.monotonic(), self._clock.now()
        for connection in self._timers.advance(now):
            connection.run(connection.session.tick(now))
            if not connection.session.closed:
                self.schedule(connection)
        revoked = self._verifier.revocations(wall)
        if revoked is not self._revoked:
            self._revoked = revoked
            for connection in [each for each in self._connections if each.token_id in revoked]:
                connection.run(connection.session.revoked())
        self.sessions.expire(now)
        self.durable.expire(now)
        metrics.UNCONFIRMED_TOPICS.set(self.durable.unconfirmed)
        metrics.TOPICS.set(len(self.hub))

    async def run_timers(self) -> None:
        """Ticks until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            self.pause_detector.tick(self.monotonic())
            self.tick()

    async def drain(self, grace: float) -> None:
        """Refuses new connections and closes those that are open within `grace` seconds."""
        self.draining = True
        has_successors = len(self.calls.addresses(GATEWAY)) > 1
        await drain_connections(
            list(self._connections),
            grace,
            config=self.config,
            has_successors=has_successors,
            is_drained=lambda: self.is_empty if has_successors else not self._connections,
            monotonic=self.monotonic,
        )
