"""A gateway node: lets clients in, knows all connections, gives time its turn, and empties itself on a drain."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from functools import partial

import structlog

from gateway import metrics
from gateway.config import Config
from gateway.connection import Connection
from gateway.frames import Frames
from gateway.framesjson import JsonFrames
from gateway.framesproto import ProtoFrames
from gateway.handshake import Accept, Handshake, Refuse, choose_subprotocol
from gateway.hub import Hub
from gateway.ports import Calls, Directory
from gateway.session import CloseCode, Goaway, Session
from gateway.socket import Socket
from gateway.tables import Tables
from gateway.wheel import Wheel
from kit.clock import Clock
from kit.errors import Unauthenticated
from kit.ids import new_id
from kit.tokens import Verifier
from plaudit.gateway.v1 import frames_pb2 as pb

log = structlog.get_logger()
BEARER = "bearer."
_RETRY = {"Retry-After": "1"}
_TICK = 0.5
# On a drain: seconds from goaway to the first close, and from one close to the next where there are few.
_LEAD = 0.5
_APART = 0.01
# Everyone comes up at least this often, to see whether the token was revoked.
_LOOK = 30.0


class Rejected:
    """A client that may not stay, told so by a close code: browsers cannot read the status of a handshake."""

    __slots__ = ("_code", "_reason")

    def __init__(self, code: CloseCode, reason: str) -> None:
        self._code = code
        self._reason = reason

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        metrics.closes[self._code] += 1
        socket.close(self._code, self._reason)

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""

    def on_writable(self) -> None:
        """See `socket.SocketHandler`."""

    def on_close(self, code: int, reason: str) -> None:
        """See `socket.SocketHandler`."""


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
    ) -> None:
        self.node_id = node_id
        self.config = config
        self.calls = calls
        self.hub = Hub(directory, config, clock.monotonic)
        self.draining = False
        self.monotonic = clock.monotonic
        self._clock = clock
        self._directory = directory
        self._verifier = verifier
        frames: list[Frames] = [JsonFrames(tables), ProtoFrames(tables)]
        self._frames = {each.subprotocol: each for each in frames}
        self._default = frames[0]
        self._connections: set[Connection] = set()
        self._sessions: dict[str, Connection] = {}
        self._users: Counter[tuple[str, str]] = Counter()
        self._addresses: Counter[str] = Counter()
        self._wheel: Wheel[Connection] = Wheel(clock.monotonic())
        self._unwritten: list[Connection] = []

    def __len__(self) -> int:
        return len(self._connections)

    def accept(self, handshake: Handshake) -> Accept | Refuse:
        """Decides about a handshake. See `port.Acceptor`."""
        if self.draining:
            return Refuse(503, "DRAINING", "the node is going away", _RETRY)
        if self._addresses[handshake.peer[0]] >= self.config.connections_per_address:
            return Refuse(429, "TOO_MANY_CONNECTIONS", "this address has too many connections", _RETRY)
        subprotocol = choose_subprotocol(handshake.subprotocols, self._frames)
        if handshake.subprotocols and subprotocol is None:
            return Refuse(400, "NO_SUBPROTOCOL", f"the subprotocols are {' and '.join(self._frames)}")
        frames = self._frames[subprotocol] if subprotocol else self._default
        now = self._clock.now()
        try:
            principal = self._verifier.verify(_token(handshake), now)
        except Unauthenticated as error:
            return Accept(subprotocol, partial(Rejected, CloseCode.BAD_TOKEN, str(error)))
        if principal.service:
            return Accept(subprotocol, partial(Rejected, CloseCode.FORBIDDEN, "sessions are for users"))
        if self._users[principal.tenant, principal.subject] >= self.config.connections_per_user:
            return Accept(subprotocol, partial(Rejected, CloseCode.LIMIT, "this user has too many connections"))
        began = self.monotonic()
        # The token's time is the world's, ours only grows: a clock that jumps ends no session.
        expires = began + principal.expires - now
        session = Session(principal.tenant, principal.subject, expires, self.config.session, began)
        return Accept(subprotocol, partial(Connection, self, frames, session, principal.token_id))

    def joined(self, connection: Connection) -> None:
        """A connection is open."""
        session = connection.session
        self._connections.add(connection)
        self._users[session.tenant, session.user] += 1
        self._addresses[connection.socket.peer[0]] += 1
        self.schedule(connection)
        metrics.CONNECTIONS.inc()

    def opened(self, connection: Connection, device: str) -> None:
        """A connection has said hello."""
        session = connection.session
        connection.session_id = new_id()
        self._sessions[connection.session_id] = connection
        self._directory.opened(connection.session_id, session.tenant, session.user, device)
        self.schedule(connection)
        metrics.SESSIONS.inc()

    def left(self, connection: Connection, code: int) -> None:
        """A connection is gone."""
        session = connection.session
        self._wheel.drop(connection)
        self._connections.discard(connection)
        _lower(self._users, (session.tenant, session.user))
        _lower(self._addresses, connection.socket.peer[0])
        if session.topics:
            self.hub.unsubscribe(connection, session.tenant, session.topics)
        if connection.session_id:
            del self._sessions[connection.session_id]
            self._directory.closed(connection.session_id)
            metrics.SESSIONS.dec()
        metrics.CONNECTIONS.dec()
        metrics.TOPICS.set(len(self.hub))
        metrics.closes[code] += 1

    def fenced(self, session_ids: Iterable[str]) -> None:
        """Later sessions of the same devices have taken over; unknown ids are none of ours any more."""
        for session_id in session_ids:
            connection = self._sessions.get(session_id)
            if connection is not None:
                connection.run(connection.session.fenced())

    def schedule(self, connection: Connection) -> None:
        """Makes sure the connection gets its tick in time."""
        self._wheel.put(connection, min(connection.session.due, self.monotonic() + _LOOK))

    def tick(self) -> None:
        """Gives their turn to all connections that time may have an effect on."""
        now, wall = self.monotonic(), self._clock.now()
        for connection in self._wheel.turn(now):
            session = connection.session
            if self._verifier.revoked(connection.token_id, wall):
                connection.run(session.revoked())
            else:
                connection.run(session.tick(now))
            if not session.closed:
                self.schedule(connection)
        metrics.TOPICS.set(len(self.hub))

    async def keep_time(self) -> None:
        """Ticks until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
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
        )

    def goaway(self, goaway: Goaway) -> pb.Goaway:
        """What a client is told on a drain."""
        return pb.Goaway(
            reconnect_after_ms=round(goaway.reconnect_after * 1000),
            deadline_ms=round(max(goaway.deadline - self.monotonic(), 0) * 1000),
        )

    def wall_ms(self) -> int:
        """The time, for display."""
        return int(self._clock.now() * 1000)

    async def drain(self, grace: float) -> None:
        """Lets nobody in, tells everybody to go, and closes them one after the other within `grace` seconds."""
        self.draining = True
        began = self.monotonic()
        # The last quarter is for close frames to be answered. A few clients need no long farewell.
        deadline = began + grace * 0.75
        lead = min(grace * 0.25, _LEAD)
        remaining = list(self._connections)
        random.shuffle(remaining)
        for index, connection in enumerate(remaining):
            close_at = began + min(lead + index * _APART, lead + grace * 0.5 * index / len(remaining))
            spread = random.uniform(0, self.config.reconnect_spread)
            connection.run(connection.session.drain(spread, close_at, deadline))
            if index % self.config.slice == 0:
                await asyncio.sleep(0)
        log.info("draining", connections=len(remaining), grace=grace)
        while self._connections and self.monotonic() < began + grace:
            now = self.monotonic()
            remaining = [connection for connection in remaining if not connection.session.closed]
            for connection in remaining:
                connection.run(connection.session.tick(now))
            await asyncio.sleep(min(0.05 + len(remaining) / 100_000, grace / 20))


def _token(handshake: Handshake) -> str:
    scheme, _, token = handshake.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return next((item.removeprefix(BEARER) for item in handshake.subprotocols if item.startswith(BEARER)), "")


def _lower(counter: Counter[str] | Counter[tuple[str, str]], key: str | tuple[str, str]) -> None:
    counter[key] -= 1  # type: ignore[index]
    if counter[key] <= 0:  # type: ignore[index]
        del counter[key]
