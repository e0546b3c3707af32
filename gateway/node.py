"""A gateway node: knows all connections and sessions, gives time its turn, and empties itself on a drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import structlog

from gateway import metrics
from gateway.admission.admission import Admission, going_away
from gateway.admission.token_renewal import Renewals
from gateway.config import Config
from gateway.contracts.tables import Tables
from gateway.fanout.durable_topics import DurableTopics
from gateway.fanout.hub import Hub
from gateway.fanout.pause_detector import Stall
from gateway.frames.frame import Frames, Resume
from gateway.frames.json_frames import JsonFrames
from gateway.frames.proto_frames import ProtoFrames
from gateway.http.head import Refuse
from gateway.ports import Calls, Directory
from gateway.sessions.connection import Connection
from gateway.sessions.detached_sessions import Departed, Departures
from gateway.sessions.draining import empty
from gateway.sessions.replay_buffer import Pool, Trail
from gateway.sessions.resume_token import Claim, ResumeTokens
from gateway.sessions.resumption import Resumption
from gateway.sessions.session import Goaway
from gateway.sessions.timing_wheel import Wheel
from gateway.websocket.handshake import Accept, Handshake
from kit.clock import Clock
from kit.ids import new_id
from kit.tokens import Verifier
from plaudit.fanout.v1 import fanout_service_pb2 as fanout
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import node_service_pb2 as node_pb

log = structlog.get_logger()
Spawn = Callable[[Coroutine[Any, Any, None]], object]
_TICK = 0.5
# After these the client does not come back to the session: it said goodbye.
_FAREWELLS = frozenset({1000})
_TERMINAL = 4500
_FANOUT = fanout.DESCRIPTOR.services_by_name["FanoutService"].full_name


class Node:
    """All connections of one process."""

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
        """`secret` seals resume tokens: the same on all nodes. `spawn` runs something beside everything else."""
        self.node_id = node_id
        self.config = config
        self.calls = calls
        self.durable = DurableTopics(
            directory, tables, config.resume, clock.monotonic, lambda: len(calls.addresses(_FANOUT))
        )
        self.hub = Hub(directory, self.durable, config, clock.monotonic)
        self.stall = Stall(directory, clock.monotonic)
        self.departures = Departures(config.resume, self.durable)
        self.sessions: dict[str, Connection] = {}
        self.draining = False
        self.monotonic = clock.monotonic
        self.directory = directory
        self._clock = clock
        self._verifier = verifier
        self._revoked: frozenset[str] = frozenset()
        self.renewals = Renewals(verifier, clock, spawn, self.schedule)
        frames: list[Frames] = [JsonFrames(tables), ProtoFrames(tables)]
        self._admission = Admission(config, {each.subprotocol: each for each in frames}, verifier, clock, spawn)
        self._connections: set[Connection] = set()
        self._wheel: Wheel[Connection] = Wheel(clock.monotonic())
        self._unwritten: list[Connection] = []
        self._pool = Pool(config.resume.total_bytes)
        # A client may be lost for as long as it can be silent before the window begins.
        self.tokens = ResumeTokens(secret, clock, config.resume.window + config.session.silence)
        self._resumption = Resumption(self, spawn)

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._connections

    @property
    def is_empty(self) -> bool:
        """Whether no session is here, with a socket or without."""
        return not self._connections and not len(self.departures)

    def accept(self, handshake: Handshake) -> Accept | Refuse:
        """Decides about a handshake. See `listener.listening.Acceptor`."""
        return going_away() if self.draining else self._admission.decide(handshake, partial(Connection, self))

    def joined(self, connection: Connection) -> None:
        """A connection is open."""
        self._connections.add(connection)
        self._admission.entered(connection.session, connection.socket.peer[0])
        self.schedule(connection)
        metrics.CONNECTIONS.inc()

    def opened(self, connection: Connection, device: str) -> None:
        """A connection has begun a session."""
        self.holds(connection, new_id(), device)
        session = connection.session
        self.directory.opened(connection.session_id, session.tenant, session.user, device)

    def holds(self, connection: Connection, session_id: str, device: str) -> None:
        """A connection has a session, a new one or one that goes on."""
        connection.session_id, connection.device = session_id, device
        self.sessions[session_id] = connection
        self.departures.returned(session_id)
        self.schedule(connection)
        metrics.SESSIONS.inc()

    def resume(self, connection: Connection, frame: Resume) -> None:
        """A client wants to go on with a session."""
        self._resumption.resume(connection, frame)

    async def give(self, request: node_pb.TakeOverRequest) -> node_pb.TakeOverResponse:
        """Gives a session to another node; raises NoSuchSession."""
        return await self._resumption.give(request)

    def part(self, connection: Connection) -> Departed:
        """Takes the session from its connection; its pushes are kept from now on."""
        session = connection.session
        departed = Departed(
            connection.session_id,
            session.tenant,
            session.user,
            connection.device,
            tuple(topic for topic in session.topics or () if self.durable.has(topic)),
            self.new_trail() if connection.trail is None else connection.trail,
        )
        self.departures.listen(departed)
        for topic in departed.topics:
            self.durable.leave(connection, session.tenant, topic)
        connection.trail = None
        del self.sessions[connection.session_id]
        connection.session_id = ""
        metrics.SESSIONS.dec()
        return departed

    def depart(self, departed: Departed) -> None:
        """Keeps a session without a socket for the resume window."""
        for ended in self.departures.keep(departed, self.monotonic()):
            self.directory.closed(ended.session_id)
        metrics.DEPARTED.set(len(self.departures))

    def left(self, connection: Connection, code: int) -> None:
        """A connection is gone."""
        session = connection.session
        self._wheel.drop(connection)
        self._connections.discard(connection)
        self._admission.left(session, connection.socket.peer[0])
        if connection.session_id:
            departed = self.part(connection)
            is_over = code in _FAREWELLS or (code >= _TERMINAL and not session.has_expired)
            if is_over or not self.config.resume.window:
                self.departures.end(departed)
                departed.trail.close()
                self.directory.closed(departed.session_id)
            else:
                self.depart(departed)
        if session.topics:
            self.hub.unsubscribe(connection, session.tenant, session.topics)
        metrics.CONNECTIONS.dec()
        metrics.TOPICS.set(len(self.hub))
        metrics.closes[code] += 1

    def fenced(self, session_ids: Iterable[str]) -> None:
        """Later sessions of the same devices have taken over; unknown ids are none of ours any more."""
        for session_id in session_ids:
            connection = self.sessions.get(session_id)
            if connection is not None:
                connection.run(connection.session.fenced())
            else:
                self.departures.drop(session_id)

    def new_trail(self, seq: int = 0) -> Trail:
        """For the durable pushes of a session, numbered from the one after `seq`."""
        return Trail(self.config.resume, self._pool, seq)

    def schedule(self, connection: Connection) -> None:
        """Makes sure the connection gets its tick in time; one that is gone needs none."""
        if connection in self._connections:
            self._wheel.put(connection, connection.session.due)

    def tick(self) -> None:
        """Gives their turn to all connections that time may have an effect on."""
        now, wall = self.monotonic(), self._clock.now()
        for connection in self._wheel.turn(now):
            connection.run(connection.session.tick(now))
            if not connection.session.closed:
                self.schedule(connection)
        revoked = self._verifier.revocations(wall)
        if revoked is not self._revoked:
            self._revoked = revoked
            for connection in [each for each in self._connections if each.token_id in revoked]:
                connection.run(connection.session.revoked())
        for departed in self.departures.expire(now):
            self.directory.closed(departed.session_id)
        self.durable.expire(now)
        metrics.TOPICS.set(len(self.hub))
        metrics.DEPARTED.set(len(self.departures))
        metrics.KEPT.set(self._pool.used)

    async def keep_time(self) -> None:
        """Ticks until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            self.stall.tick(self.monotonic())
            self.tick()

    def flush_later(self, connection: Connection) -> None:
        """Writes the connection's answers when those that came with them have been added: one write for many."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unwritten.append(connection)

    def _flush(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        for connection in unwritten:
            connection.flush()

    def welcome(self, connection: Connection) -> pb.Welcome:
        """What a client is told when its session opens."""
        limits = self.config.session
        return pb.Welcome(
            session=connection.session_id,
            user=connection.session.user,
            node=self.node_id,
            heartbeat_seconds=round(limits.heartbeat),
            limits=pb.Limits(
                message_bytes=self.config.socket.message,
                topics=limits.topics,
                frames_per_second=int(limits.frames_per_second),
                calls_in_flight=limits.calls_in_flight,
            ),
            server_time_ms=self.wall_ms(),
            resume_token=self._resume_token(connection),
            resume_window_seconds=round(self.config.resume.window),
            token_expire_time_ms=self.wall_ms(connection.session.expires - self.monotonic()),
        )

    def pong(self, connection: Connection) -> pb.Pong:
        """What a client is told when it asks whether anybody is there."""
        token = self._resume_token(connection)
        return pb.Pong(server_time_ms=self.wall_ms(), seq=connection.shown, resume_token=token)

    def _resume_token(self, connection: Connection) -> str:
        session = connection.session
        claim = Claim(connection.session_id, self.node_id, connection.device)
        return self.tokens.seal(session.tenant, session.user, claim)

    def goaway(self, goaway: Goaway) -> pb.Goaway:
        """What a client is told on a drain."""
        return pb.Goaway(
            reconnect_after_ms=round(goaway.reconnect_after * 1000),
            deadline_ms=round(max(goaway.deadline - self.monotonic(), 0) * 1000),
        )

    def wall_ms(self, ahead: float = 0.0) -> int:
        """The time so many seconds ahead, in milliseconds since 1970, for display."""
        return int((self._clock.now() + ahead) * 1000)

    async def drain(self, grace: float) -> None:
        """Lets nobody in, tells everybody to go, and closes them one after the other within `grace` seconds."""
        self.draining = True
        await empty(self, list(self._connections), grace)
