"""The connections of one listening port: how many, from where, and how they end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from gateway.http.head import Refuse
from gateway.limits import SocketLimits
from gateway.listener.waiting_connections import Waiting, WaitingConnections
from gateway.websocket.socket import Peer, Socket

_RETRY = {"Retry-After": "1"}
_NO_ROOM = Refuse(503, "NO_ROOM", "the server takes no more connections", _RETRY)


class Newcomer(Protocol):
    """A connection that has not become a WebSocket or HTTP."""

    peer: Peer

    @property
    def address(self) -> str:
        """Where it comes from."""
        ...

    def drop(self) -> None:
        """Ends the connection."""


class Listener:
    """A listening port. Made by `listener.listening.listening`."""

    def __init__(self, limits: SocketLimits) -> None:
        self.port = 0
        """The port that is listened on: the one asked for, or the one found if that was 0."""
        self.connections = 0
        """All connections: newcomers, HTTP and WebSockets."""
        self._limits = limits
        self._server: asyncio.AbstractServer | None = None
        self._idle: Counter[str] = Counter()
        self._newcomers: set[Newcomer] = set()
        self._waiting = WaitingConnections(limits.wait_timeout)
        self._sockets: set[Socket] = set()
        self._empty = asyncio.Event()

    @property
    def sockets(self) -> int:
        """The number of WebSockets."""
        return len(self._sockets)

    def stop_accepting(self) -> None:
        """Takes no more connections; those which are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def listen(self, door: Callable[[], asyncio.Protocol], host: str, port: int, reuse_port: bool) -> None:
        """Begins to accept. Raises OSError if the port is taken."""
        server = await asyncio.get_running_loop().create_server(
            door, host, port, backlog=self._limits.backlog, reuse_port=reuse_port or None, start_serving=False
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        await server.start_serving()

    async def close(self, patience: float) -> None:
        """Stops to accept, drops newcomers, and closes every WebSocket with 1001.

        Drops what is not closed after `patience` seconds, and returns when all are gone.
        """
        self.stop_accepting()
        for newcomer in list(self._newcomers):
            newcomer.drop()
        for socket in list(self._sockets):
            socket.close(1001, "the server is going away")
        try:
            async with asyncio.timeout(patience):
                await self._all_gone()
        except TimeoutError:
            for newcomer in list(self._newcomers):
                newcomer.drop()
            for socket in list(self._sockets):
                socket.abort()
            await self._all_gone()

    async def _all_gone(self) -> None:
        while self._sockets or self._newcomers:
            self._empty.clear()
            await self._empty.wait()

    def enter(self, newcomer: Newcomer) -> Refuse | None:
        """Counts a new connection, or says why there is no room for it; `passed` ends it in both cases."""
        self._newcomers.add(newcomer)
        address, limits = newcomer.address, self._limits
        now = asyncio.get_running_loop().time()
        idle = self._idle[address]
        if self._server is None:
            return _NO_ROOM
        if idle >= limits.idle_per_address and not self._waiting.make_room(address, now):
            return Refuse(429, "TOO_MANY_IDLE", "this address has too many idle connections", _RETRY)
        if self.connections >= limits.connections and not self._waiting.make_room_for(address, idle, now):
            return _NO_ROOM
        self._waiting.add(newcomer, now)
        self.connections += 1
        self._idle[address] += 1
        return None

    def passed(self, newcomer: Newcomer) -> None:
        """The newcomer has become something else, or is gone."""
        self._newcomers.discard(newcomer)
        self._waiting.remove(newcomer)
        self._empty.set()

    def waits(self, connection: Waiting) -> None:
        """The connection waits for its client: for a request, the rest of one, or that an answer is read."""
        self._waiting.add(connection, asyncio.get_running_loop().time())

    def works(self, connection: Waiting) -> None:
        """The connection's request is served, or the connection has ended."""
        self._waiting.remove(connection)

    def opened(self, socket: Socket) -> None:
        """A newcomer has become a WebSocket."""
        self._sockets.add(socket)

    def trusted(self, socket: Socket) -> None:
        """A WebSocket no longer counts as idle."""
        self._forget(socket.peer[0])

    def gone(self, socket: Socket) -> None:
        """A WebSocket has ended."""
        self._sockets.discard(socket)
        self.connections -= 1
        if not socket.trusted:
            self._forget(socket.peer[0])
        self._empty.set()

    def left(self, address: str) -> None:
        """A connection has ended that was no WebSocket."""
        self.connections -= 1
        self._forget(address)

    def _forget(self, address: str) -> None:
        self._idle[address] -= 1
        if not self._idle[address]:
            del self._idle[address]
