"""Thousands of clients that go to another gateway when theirs tells them to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

_CONNECTING_AT_ONCE = 64
_RETRY_SECONDS = 0.5
_ADDRESSES = 8  # a gateway limits the connections of one
_GOING_AWAY = 4_000  # a close with 1000 ends the session


class Crowd:
    """Clients of users with these tokens, which connect to the port `before`, and go to the port `after`."""

    def __init__(self, tokens: Sequence[str], before: int, after: int) -> None:
        self._tokens = tokens
        self._before = before
        self._after = after
        self._told_at: float | None = None
        self._sessions: list[aiohttp.ClientSession] = []

    async def moved(self, drain: Callable[[], None], timeout: float) -> tuple[list[float], Counter[str]]:
        """Connects all, drains, and returns once all have resumed their sessions: after how many seconds since the
        first one was told each has come, and with which verdicts. Raises TimeoutError, ConnectionError."""
        async with AsyncExitStack() as stack:
            for number in range(_ADDRESSES):
                connector = aiohttp.TCPConnector(limit=0, local_addr=(f"127.0.0.{2 + number}", 0))
                self._sessions.append(await stack.enter_async_context(aiohttp.ClientSession(connector=connector)))
            turns = asyncio.Semaphore(_CONNECTING_AT_ONCE)
            clients = await asyncio.gather(*(self._connected(index, turns) for index in range(len(self._tokens))))
            moves = [asyncio.ensure_future(self._move(*client)) for client in clients]
            drain()
            async with asyncio.timeout(timeout):
                found = await asyncio.gather(*moves)
        return [time for time, _ in found], Counter(verdict for _, verdict in found)

    async def _connected(
        self, index: int, turns: asyncio.Semaphore
    ) -> tuple[int, aiohttp.ClientWebSocketResponse, Any]:
        """The index, the socket and the welcome."""
        async with turns:
            return index, *await self._open(index, self._before, {"type": "hello", "id": 1})

    async def _move(self, index: int, socket: aiohttp.ClientWebSocketResponse, welcome: Any) -> tuple[float, str]:
        """When the client has come to the other gateway, and the verdict."""
        goaway = await _next(socket, "goaway")
        now = asyncio.get_running_loop().time
        self._told_at = self._told_at or now()
        await asyncio.sleep(goaway["reconnect_after_ms"] / 1_000)
        came_at = now() - self._told_at
        await socket.close(code=_GOING_AWAY)
        fields = {"session": welcome["session"], "resume_token": welcome["resume_token"]}
        while True:
            try:
                socket, answer = await self._open(index, self._after, {"type": "resume", "id": 1, "seq": 0, **fields})
                break
            except ConnectionError:  # refused, as by a gateway that accepts no more for the moment
                await asyncio.sleep(_RETRY_SECONDS)
        await socket.close(code=_GOING_AWAY)
        return came_at, str(answer["verdict"])

    async def _open(self, index: int, port: int, first: Any) -> tuple[aiohttp.ClientWebSocketResponse, Any]:
        """Connects; returns the socket and the answer to the first frame. Raises ConnectionError."""
        url, headers = f"ws://127.0.0.1:{port}/ws/connect", {"Authorization": f"Bearer {self._tokens[index]}"}
        try:
            socket = await self._sessions[index % _ADDRESSES].ws_connect(
                url, headers=headers, protocols=("plaudit.v1.json",)
            )
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error
        try:
            await socket.send_json(first)
            return socket, await _next(socket, "welcome", "resumed")
        except ConnectionError:
            await socket.close(code=_GOING_AWAY)
            raise


async def _next(socket: aiohttp.ClientWebSocketResponse, *types: str) -> Any:
    """The next frame of one of these types. Raises ConnectionError."""
    async for message in socket:
        frame = message.json()
        if frame["type"] in types:
            return frame
        if frame["type"] == "error":
            raise ConnectionError(str(frame))
    raise ConnectionError(f"closed: {socket.close_code}")
