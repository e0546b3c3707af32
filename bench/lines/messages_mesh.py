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
from bench.waits import share_of

_USERS = 40
_GROUP = 10
# Messages a second, as long as they arrive in time.
_RATES = (25, 50, 100, 200, 400, 800)
_LIMIT_MS = 200.0
# At the lowest rate before the first round: the compiler of an engine that has just started is at work.
_WARM_UP_SECONDS = (5, 60, 120)


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

    async def round(self, rate: int, seconds: float) -> _Round:
        """Sends at a rate, four of five messages to direct conversations."""
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
        waits = sorted(self._waits)
        return _Round(rate, share_of(waits, 0.5), share_of(waits, 0.99))


@dataclass(frozen=True)
class _Round:
    """Messages a second, and how long they took from due to screen, in ms."""

    rate: int
    p50: float
    p99: float


def through_envoy(setup: Setup) -> list[Line]:
    """M1: as on one process, through Envoy and TLS on engines, at the highest rate that is in time."""
    with mesh() as running_mesh:
        rounds = asyncio.run(_until_late(running_mesh, setup.pick(*_WARM_UP_SECONDS), setup.pick(3, 8, 20)))
    best = rounds[-2] if len(rounds) > 1 and rounds[-1].p99 > _LIMIT_MS else rounds[-1]
    what = f"message due to the members' screens, p99 through Envoy and TLS on engines, at {best.rate}/s"
    notes = [f"{done.rate}/s: p50 {done.p50:.0f}, p99 {done.p99:.0f} ms" for done in rounds]
    return [Line("M1-MESH", what, "ms", [best.p99], goal=Goal(_LIMIT_MS, 100, at_most=True), notes=notes)]


async def _until_late(running_mesh: Mesh, warm_up: float, seconds: float) -> list[_Round]:
    """Rounds at growing rates, up to the first in which messages are late."""
    rounds: list[_Round] = []
    async with _chatting(running_mesh) as chat:
        await chat.round(_RATES[0], warm_up)
        for rate in _RATES:
            rounds.append(await chat.round(rate, seconds))
            if rounds[-1].p99 > _LIMIT_MS:
                break
    return rounds


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
