"""Clients of a system: unused names, bounded waits, and sockets without a client library."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import aiohttp

from plaudit_client import OwnUpdate, Subscription, Update
from tests.running import Stack

U = TypeVar("U", Update, OwnUpdate)
Frame = dict[str, Any]


def new_target(collection: str = "messages") -> str:
    """An unused target."""
    return f"{collection}/{uuid.uuid4().hex}"


def new_user(name: str) -> str:
    """An unused user."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


async def until(updates: Subscription[U], holds: Callable[[U], bool], seconds: float = 5.0) -> list[U]:
    """The updates up to and including the first that holds; raises TimeoutError where none does in time."""
    seen: list[U] = []
    async with asyncio.timeout(seconds):
        async for update in updates:
            seen.append(update)
            if holds(update):
                return seen
    raise AssertionError("the subscription has ended")


def counts(reactions: list[Mapping[str, str]]) -> dict[str, int]:
    """Counts of a frame."""
    return {one["emoji"]: int(one["count"]) for one in reactions}


class RawSocket:
    """One socket without a client library: for frames that a library would not send."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(2)
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._reader = asyncio.create_task(self._read())
        self.pushes: list[Frame] = []
        self.notices: list[Frame] = []

    async def hello(self) -> Self:
        await self.ask("hello")
        return self

    async def ask(self, frame_type: str, **fields: Any) -> Frame:
        """Sends a frame; returns its answer within 10 s, whatever it is. Raises ConnectionError on a lost socket."""
        frame_id = next(self._ids)
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers[frame_id] = answer
        await self._socket.send_str(json.dumps({"type": frame_type, "id": frame_id, **fields}))
        async with asyncio.timeout(10):
            return await answer

    async def ask_until_allowed(self, frame_type: str, **fields: Any) -> Frame:
        """The answer to a frame, sent again for as long as the server limits the rate."""
        async with asyncio.timeout(60):
            while (answer := await self.ask(frame_type, **fields)).get("reason") == "RATE_LIMITED":
                assert answer["retry_after_ms"] > 0
                await asyncio.sleep(answer["retry_after_ms"] / 1000)  # the retry delay
        return answer

    async def _read(self) -> None:
        async for message in self._socket:
            frame: Frame = json.loads(message.data)
            if "topic" in frame:
                self.pushes.append(frame)
            elif "id" not in frame:
                self.notices.append(frame)
            elif (answer := self._answers.pop(int(frame.get("id", 0)), None)) is not None and not answer.done():
                answer.set_result(frame)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the socket is lost"))

    async def end(self) -> None:
        await self._socket.close()
        await self._reader
        for answer in self._answers.values():
            answer.cancelled() or answer.exception()  # retrieved, or it is a warning


@asynccontextmanager
async def raw_socket(stack: Stack, user: str) -> AsyncIterator[RawSocket]:
    """A socket of the user, after hello."""
    headers = {"Authorization": f"Bearer {stack.token(user)}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(stack.ws_url, protocols=("plaudit.v1.json",)) as socket,
    ):
        made = RawSocket(socket)
        try:
            yield await made.hello()
        finally:
            await made.end()
