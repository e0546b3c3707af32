"""A small local server of the protocol that misbehaves as each test scripts it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from tests.unit.client.protocol_driver import WELCOME

COUNTED = [{"emoji": "👍", "count": "1"}]


class Peer:
    """One socket, seen from the server."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request

    async def receive(self, frame_type: str = "") -> dict[str, Any]:
        """The next frame, which must be of the type."""
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError("the client is gone")
        frame: dict[str, Any] = json.loads(message.data)
        assert frame_type in ("", frame["type"]), frame
        return frame

    async def send(self, frame_type: str, **fields: Any) -> None:
        await self.send_text(json.dumps({"type": frame_type, **fields}))

    async def send_text(self, text: str) -> None:
        await self._socket.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def welcome(self, token_seconds: float = 0.0, **limits: int) -> dict[str, Any]:
        """Answers `hello`; or `resume`, with a verdict after which the client starts again."""
        hello = await self.receive()
        assert hello["type"] in ("hello", "resume"), hello
        welcome = {**WELCOME, "limits": {**WELCOME["limits"], **limits}}  # type: ignore[dict-item]
        if token_seconds:
            welcome["token_expire_time_ms"] = str(int(WELCOME["server_time_ms"]) + round(token_seconds * 1000))  # type: ignore[call-overload]
        if hello["type"] == "hello":
            await self.send("welcome", id=hello["id"], **welcome)
        else:
            await self.send("resumed", id=hello["id"], verdict="reset", reload=[], seq="0", **welcome)
        return hello

    async def ack(self, frame: dict[str, Any], on: bool = True, version: int = 1) -> None:
        await self.send("ack", id=frame["id"], on=on, version=str(version), reactions=COUNTED if on else [])

    async def close(self, code: int = 1000, reason: str = "as told") -> None:
        await self._socket.close(code=code, message=reason.encode())

    def drop(self) -> None:
        """Drops the connection without a close frame."""
        transport = self._request.transport
        assert transport is not None
        transport.abort()

    async def stay(self) -> int:
        """Ignores everything until the client is gone; returns its close code."""
        async for _ in self._socket:
            pass
        return self._socket.close_code or 1006


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Plays its scripts, one a connection; the last one goes on for ever."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = scripts
        self.url = ""
        self.requests: list[web.Request] = []
        self.errors: list[BaseException] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        if isinstance(refusal := getattr(script, "refusal", None), web.Response):
            return refusal
        socket = web.WebSocketResponse(protocols=("plaudit.v1.json",), timeout=0.2)
        await socket.prepare(request)
        try:
            await script(Peer(socket, request))
        except (ConnectionError, aiohttp.ClientError):
            pass
        except AssertionError as error:
            self.errors.append(error)
        finally:
            await socket.close()
        return socket


def refusing(status: int, **headers: str) -> Script:
    """A script that refuses the handshake."""

    async def script(peer: Peer) -> None: ...

    script.refusal = web.Response(status=status, headers=headers)  # type: ignore[attr-defined]
    return script


@asynccontextmanager
async def scripted_server(*scripts: Script) -> AsyncIterator[ScriptedServer]:
    """Serves until the block ends; a script's failed assertion fails the test."""
    server = ScriptedServer(scripts)
    app = web.Application()
    app.router.add_get("/ws/connect", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
    if server.errors:
        raise AssertionError("a script failed") from server.errors[0]
