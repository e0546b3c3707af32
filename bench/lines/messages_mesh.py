"""M1 through Envoy and TLS: messages between sockets on two gateways, with everything on engines."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.lines.mesh import Mesh, mesh
from bench.processes import BenchError
from bench.report import Goal, Line
from bench.setup import Setup

_USERS = 40
_GROUP = 10
# Messages a second, as long as they arrive in time.
_RATES = (25, 50, 100, 200, 400, 800)
_LIMIT_MS = 200.0


@dataclass
class _Member:
    """A user with a socket."""

    name: str
    socket: aiohttp.ClientWebSocketResponse
    direct: str = ""
    group: str = ""
    last_seq: dict[str, int] = field(default_factory=dict)
    """By conversation."""


class _Chat:
    """All members, and what they received in a round."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members
        self._waits: list[float] = []
        self._expected = 0
        self._arrived = asyncio.Event()
        self._sent = 0

    async def receive(self, member: _Member) -> None:
        """Receives until the socket closes; raises BenchError where a message is missing, repeated or out of order."""
        async for message in member.socket:
            frame = json.loads(message.data)
            if frame["type"] == "error":
                raise BenchError(f"a frame was refused: {frame}")
            if frame["type"] != "new_message":
                continue
            now, due = time.monotonic(), float(frame["content"])
            conversation, seq = frame["conversation_id"], frame["message_seq"]
            if seq != member.last_seq.get(conversation, seq - 1) + 1:
                raise BenchError(f"{member.name} received message {seq} after {member.last_seq[conversation]}")
            member.last_seq[conversation] = seq
            self._waits.append((now - due) * 1e3)
            if len(self._waits) >= self._expected:
                self._arrived.set()
            await member.socket.send_json({"type": "ack", "seq": frame["seq"]})

    async def round(self, rate: int, seconds: float) -> float:
        """Sends at a rate, four of five messages to direct conversations; returns the p99 from due to screen, in ms."""
        self._waits, self._expected = [], 0
        self._arrived.clear()
        count = round(rate * seconds)
        sizes = [2 if index % 5 else _GROUP for index in range(count)]
        self._expected = sum(sizes)
        began = time.monotonic()
        for index, size in enumerate(sizes):
            due = began + index / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._sent += 1
            member = self._members[index % len(self._members)]
            await member.socket.send_json(
                {
                    "type": "send_message",
                    "conversation_id": member.direct if size == 2 else member.group,
                    "content": f"{due:.6f}",
                    "client_msg_id": f"{self._sent}",
                }
            )
        try:
            async with asyncio.timeout(30):
                await self._arrived.wait()
        except TimeoutError:
            raise BenchError(f"{len(self._waits)} of {self._expected} messages arrived at {rate}/s") from None
        return sorted(self._waits)[int(0.99 * len(self._waits))]


def through_envoy(setup: Setup) -> list[Line]:
    """M1: as on one process, through Envoy and TLS on engines, at the highest rate that is in time."""
    with mesh() as running_mesh:
        rate, p99 = asyncio.run(_highest_rate(running_mesh, setup.pick(3, 8, 20)))
    what = f"message due to the members' screens, p99 through Envoy and TLS on engines, at {rate}/s"
    return [Line("M1", what, "ms", [p99], goal=Goal(_LIMIT_MS, 100, at_most=True))]


async def _highest_rate(running_mesh: Mesh, seconds: float) -> tuple[int, float]:
    async with _chatting(running_mesh) as chat:
        await chat.round(_RATES[0], seconds)  # engines that have just started are slow
        best = (_RATES[0], await chat.round(_RATES[0], seconds))
        for rate in _RATES[1:]:
            p99 = await chat.round(rate, seconds)
            if p99 > _LIMIT_MS:
                break
            best = (rate, p99)
    return best


@asynccontextmanager
async def _chatting(running_mesh: Mesh) -> AsyncIterator[_Chat]:
    tls = ssl.create_default_context(cafile=running_mesh.ca)
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    async with (
        aiohttp.ClientSession(f"https://{running_mesh.address}", connector=connector) as http,
        AsyncExitStack() as stack,
    ):
        members = [await _joined(stack, http, running_mesh, f"u{number}") for number in range(_USERS)]
        for start in range(0, _USERS, 2):
            pair = members[start : start + 2]
            pair[0].direct = pair[1].direct = await _created(
                http, running_mesh, pair[0], "conversations", participant_ids=[pair[1].name]
            )
        for start in range(0, _USERS, _GROUP):
            group = members[start : start + _GROUP]
            others = [member.name for member in group[1:]]
            found = await _created(http, running_mesh, group[0], "groups", name="Group", member_ids=others)
            for member in group:
                member.group = found
        chat = _Chat(members)
        async with asyncio.TaskGroup() as tasks:
            receiving = [tasks.create_task(chat.receive(member)) for member in members]
            yield chat
            for task in receiving:
                task.cancel()


async def _joined(stack: AsyncExitStack, http: aiohttp.ClientSession, running_mesh: Mesh, name: str) -> _Member:
    headers = {"Authorization": f"Bearer {running_mesh.user_token(name)}"}
    protocols = ("plaudit.v1.json",)
    socket = await stack.enter_async_context(http.ws_connect("/ws/connect", headers=headers, protocols=protocols))
    for frame in ({"type": "hello", "id": 1}, {"type": "subscribe", "id": 2, "topics": [f"users/{name}"]}):
        await socket.send_json(frame)
        while (await socket.receive_json(timeout=30)).get("id") != frame["id"]:
            pass
    return _Member(name, socket)


async def _created(http: aiohttp.ClientSession, running_mesh: Mesh, by: _Member, what: str, **body: Any) -> str:
    headers = {"Authorization": f"Bearer {running_mesh.user_token(by.name)}"}
    async with http.post(f"/api/v1/{what}", json=body, headers=headers) as answer:
        found = await answer.json()
        if answer.status != 200:
            raise BenchError(f"a conversation was refused: {found}")
        return str(found["conversation_id"])
