"""The connections of one listening port: their limits, and how they end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from gateway.http.head import Refuse
from gateway.limits import SocketLimits
from gateway.listener.waiting_connections import EvictableConnection, WaitingConnections
from gateway.websocket.socket import Peer, Socket

_RETRY = {"Retry-After": "1"}
_PORT_FULL = Refuse(503, "NO_ROOM", "the server takes no more connections", _RETRY)


class PendingConnection(EvictableConnection, Protocol):
    """A connection that is neither WebSocket nor HTTP yet."""

    peer: Peer


class Listener:
    """A listening port. Made by `listening.listening`."""

    def __init__(self, limits: SocketLimits) -> None:
        self.port = 0
        """The port that is listened on: the requested one, or the one found if that was 0."""
        self.connections = 0
        """All connections: pending, HTTP and WebSocket."""
        self._limits = limits
        self._server: asyncio.AbstractServer | None = None
        self._idle: Counter[str] = Counter()
        self._pending: set[PendingConnection] = set()
        self._waiting = WaitingConnections(limits.wait_timeout)
        self._sockets: set[Socket] = set()
        self._changed = asyncio.Event()

    @property
    def sockets(self) -> int:
        """The number of WebSockets."""
        return len(self._sockets)

    def stop_accepting(self) -> None:
        """Accepts no more connections; open ones continue."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def listen(
        self, make_protocol: Callable[[], asyncio.Protocol], host: str, port: int, reuse_port: bool
    ) -> None:
        """Starts to accept. Raises OSError if the port is in use."""
        server = await asyncio.get_running_loop().create_server(
            make_protocol, host, port, backlog=self._limits.backlog, reuse_port=reuse_port or None, start_serving=False
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        await server.start_serving()

    async def close(self, grace_seconds: float) -> None:
        """Stops accepting, drops pending connections, and closes every WebSocket with 1001.

        Drops those still open after `grace_seconds` seconds, and returns when all have ended.
        """
        self.stop_accepting()
        for pending in list(self._pending):
            pending.drop()
        for socket in list(self._sockets):
            socket.close(1001, "the server is going away")
        try:
            async with asyncio.timeout(grace_seconds):
                await self._wait_until_empty()
        except TimeoutError:
            for pending in list(self._pending):
                pending.drop()
            for socket in list(self._sockets):
                socket.abort()
            await self._wait_until_empty()

    async def _wait_until_empty(self) -> None:
        while self._sockets or self._pending:
            self._changed.clear()
            await self._changed.wait()

    def admit(self, pending: PendingConnection) -> Refuse | None:
        """Counts a new connection, or refuses it because of a limit; `remove_pending` is called in both cases."""
        self._pending.add(pending)
        address, limits = pending.address, self._limits
        now = asyncio.get_running_loop().time()
        idle = self._idle[address]
        if self._server is None:
            return _PORT_FULL
        if idle >= limits.idle_per_address and not self._waiting.evict(address, now):
            return Refuse(429, "TOO_MANY_IDLE", "this address has too many idle connections", _RETRY)
        if self.connections >= limits.connections and not self._waiting.evict_for(address, idle, now):
            return _PORT_FULL
        self._waiting.add(pending, now)
        self.connections += 1
        self._idle[address] += 1
        return None

    def remove_pending(self, pending: PendingConnection) -> None:
        """The connection has become WebSocket or HTTP, or has ended."""
        self._pending.discard(pending)
        self._waiting.remove(pending)
        self._changed.set()

    def mark_waiting(self, connection: EvictableConnection) -> None:
        """The connection waits for its client: for a request, the rest of one, or that an answer is read."""
        self._waiting.add(connection, asyncio.get_running_loop().time())

    def mark_served(self, connection: EvictableConnection) -> None:
        """A request of the connection is served, or the connection has ended."""
        self._waiting.remove(connection)

    def socket_opened(self, socket: Socket) -> None:
        """A pending connection has become a WebSocket."""
        self._sockets.add(socket)

    def socket_trusted(self, socket: Socket) -> None:
        """A WebSocket does not count as idle any more."""
        self._decrement_idle(socket.peer[0])

    def socket_closed(self, socket: Socket) -> None:
        """A WebSocket has ended."""
        self._sockets.discard(socket)
        self.connections -= 1
        if not socket.trusted:
            self._decrement_idle(socket.peer[0])
        self._changed.set()

    def connection_closed(self, address: str) -> None:
        """A connection that was no WebSocket has ended."""
        self.connections -= 1
        self._decrement_idle(address)

    def _decrement_idle(self, address: str) -> None:
        self._idle[address] -= 1
        if not self._idle[address]:
            del self._idle[address]
