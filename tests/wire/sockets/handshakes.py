"""A port with a WebSocket listener, and raw requests for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.echo import Echo
from gateway.http.head import Refuse
from gateway.limits import SocketLimits
from gateway.listener.head_protocol import Acceptor
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept, Handshake, choose_subprotocol

GOOD = {
    "Host": "chat.example:8080",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SUPPORTED = ("plaudit.v1.json", "plaudit.v1.proto")


@dataclass
class HandshakeAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        return str(json.loads(self.body)["details"][0]["reason"])


@dataclass
class Port:
    """A listening port, and the handshakes that `accept` decided about."""

    number: int
    handshakes: list[Handshake] = field(default_factory=list)

    async def ask(self, request: bytes, *, is_reused: bool = False) -> HandshakeAnswer:
        """Sends a request and returns the answer; an error's answer must be followed by the end.

        `is_reused`: on a connection that has carried another request before.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        if is_reused:
            writer.write(plain())
            assert (await read_answer(reader)).status == 200
        writer.write(request)
        answer = await read_answer(reader)
        if answer.headers.get("connection") == "close":
            assert await reader.read() == b""
        writer.close()
        return answer


async def read_answer(reader: asyncio.StreamReader) -> HandshakeAnswer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return HandshakeAnswer(int(first.split()[1]), headers, body)


def request(
    target: str = "/ws/connect", *more: str, method: str = "GET", version: str = "HTTP/1.1", **changes: str | None
) -> bytes:
    """A good handshake with some fields changed, left out (None) or added (`more`)."""
    fields = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {target} {version}", *lines, *more, "", ""]).encode("latin-1")


def plain(target: str = "/healthz", *more: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: chat.example:8080", *more, "", ""]).encode()


async def show_headers(http_request: web.Request) -> web.Response:
    return web.json_response([name.lower() for name in http_request.headers])


@asynccontextmanager
async def open_port(limits: SocketLimits | None = None, accept: Acceptor | None = None) -> AsyncIterator[Port]:
    port = Port(0)

    def accept_supported(handshake: Handshake) -> Accept | Refuse:
        port.handshakes.append(handshake)
        chosen = choose_subprotocol(handshake.subprotocols, SUPPORTED)
        if chosen is None and handshake.subprotocols:
            return Refuse(400, "NO_SUBPROTOCOL", "none of the subprotocols is spoken here")
        return Accept(chosen, Echo)

    app = web.Application()
    app.router.add_get("/healthz", show_headers)
    limits = limits or SocketLimits(close_timeout=1)
    async with (
        asyncio.timeout(10),
        listening("127.0.0.1", 0, accept=accept or accept_supported, app=app, limits=limits) as listener,
    ):
        port.number = listener.port
        yield port
