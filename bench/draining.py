"""Thousands of clients that go to another gateway when theirs tells them to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

_CONNECTING_AT_ONCE = 64
_RETRY_SECONDS = 0.5
_ADDRESSES = 8  # a gateway limits the connections of one
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Crowd:
    """Clients of users with these tokens, which connect to the port `before`, and go to the port `after`."""

    def __init__(self, tokens: Sequence[str], before: int, after: int) -> None:
        self._tokens = tokens
        self._before = before
        self._after = after
        self._told_at: float | None = None

    async def moved(self, drain: Callable[[], None], timeout: float) -> tuple[list[float], Counter[str]]:
        """Connects all, drains, and returns once all have resumed their sessions: after how many seconds since the
        first one was told each has come, and with which verdicts. Raises TimeoutError, ConnectionError."""
        turns = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        clients = await asyncio.gather(*(self._connected(index, turns) for index in range(len(self._tokens))))
        moves = [asyncio.ensure_future(self._move(client)) for client in clients]
        drain()
        async with asyncio.timeout(timeout):
            found = await asyncio.gather(*moves)
        return [time for time, _ in found], Counter(verdict for _, verdict in found)

    async def _connected(self, index: int, turns: asyncio.Semaphore) -> _Client:
        async with turns:
            client = _Client(self._tokens[index], f"127.0.0.{2 + index % _ADDRESSES}")
            await client.open(self._before, {"type": "hello", "id": 1})
            return client

    async def _move(self, client: _Client) -> tuple[float, str]:
        """When the client has come to the other gateway, and the verdict."""
        goaway = await client.next("goaway")
        now = asyncio.get_running_loop().time
        self._told_at = self._told_at or now()
        await asyncio.sleep(goaway["reconnect_after_ms"] / 1_000)
        client.close()
        came_at = now() - self._told_at
        fields = {"session": client.session, "resume_token": client.resume_token}
        while True:
            try:
                answer = await client.open(self._after, {"type": "resume", "id": 1, "seq": 0, **fields})
                break
            except ConnectionError:  # refused, as by a gateway that accepts no more for the moment
                client.close()
                await asyncio.sleep(_RETRY_SECONDS)
        client.close()
        return came_at, str(answer["verdict"])


class _Client:
    """A WebSocket client that answers nothing; frames of a server are neither masked nor fragmented here."""

    def __init__(self, token: str, address: str) -> None:
        self._token = token
        self._address = address
        self.session = self.resume_token = ""

    async def open(self, port: int, first: dict[str, Any]) -> dict[str, Any]:
        """Connects, and returns the answer to the first frame. Raises ConnectionError."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(self._address, 0))
        self._writer.write(
            f"GET /ws/connect HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: plaudit.v1.json\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )
        status = await self._reader.readuntil(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(status.decode(errors="replace"))
        payload = json.dumps(first).encode()
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        # A mask of zeros leaves the payload as it is.
        self._writer.write(b"\x81" + size + bytes(4) + payload)
        answer = await self.next("welcome", "resumed")
        self.session, self.resume_token = answer["session"], answer.get("resume_token", "")
        return answer

    async def next(self, *types: str) -> dict[str, Any]:
        """The next frame of one of these types. Raises ConnectionError."""
        while True:
            frame = await self._frame()
            if frame.get("type") in types:
                return frame
            if frame.get("type") == "error":
                raise ConnectionError(str(frame))

    async def _frame(self) -> dict[str, Any]:
        try:
            first, size = await self._reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
            payload = await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server has closed the connection") from error
        if first & 0x0F == 8:
            raise ConnectionError(f"closed: {payload!r}")
        if first & 0x0F != 1:
            return {}
        frame: dict[str, Any] = json.loads(payload)
        return frame

    def close(self) -> None:
        """Closes the connection."""
        self._writer.transport.abort()
