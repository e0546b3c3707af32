"""Users at the edge of a mesh: REST, and a socket with their pushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.flows.mesh.meshes import RunningMesh


class MeshUser:
    """A user at the edge of the mesh."""

    def __init__(self, mesh: RunningMesh, http: aiohttp.ClientSession, user: str) -> None:
        self.user = user
        self.headers = {"Authorization": f"Bearer {mesh.token(user)}"}
        self._http = http

    async def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the answer; status 0 where the connection breaks."""
        try:
            async with self._http.request(verb, path, json=body, headers=self.headers) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientConnectionError, TimeoutError):
            return 0, {}

    async def send(self, conversation_id: str, content: str) -> int:
        """Sends a message, again with the same id where it may or may not be sent; returns its number."""
        body = {"conversation_id": conversation_id, "content": content, "client_msg_id": content.replace(" ", "-")}
        async with asyncio.timeout(60):
            while True:
                status, answer = await self.ask("POST", "/api/v1/messages", body)
                if status == 202:
                    return int(answer["message_seq"])
                # Above its rate it is refused, which may be as soon as the machine is fast.
                assert status in (0, 429, 503, 504), answer
                await asyncio.sleep(0.1)  # as a client would, a little later

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A socket with the pushes for the user."""
        protocols = ("plaudit.v1.json",)
        async with self._http.ws_connect("/ws/connect", headers=self.headers, protocols=protocols) as socket:
            await socket.send_json({"type": "hello", "id": 1})
            await socket.send_json({"type": "subscribe", "id": 2, "topics": [f"users/{self.user}"]})
            async with asyncio.timeout(20):
                while (await socket.receive_json())["type"] != "subscribed":
                    pass
            yield socket


async def items(socket: aiohttp.ClientWebSocketResponse, last: int) -> list[dict[str, Any]]:
    """The pushes about conversations, up to the message with that number; acknowledges them."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not found or found[-1].get("message_seq", 1) < last:
            frame = await socket.receive_json()
            if frame["type"] in ("new_message", "member_changed"):
                found.append(frame)
                await socket.send_json({"type": "ack", "seq": frame["seq"]})
    return found


async def history(user: MeshUser, conversation_id: str) -> list[dict[str, Any]]:
    """All messages of a conversation, oldest first."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        path = f"/api/v1/conversations/{conversation_id}/messages?limit=100&before={before}"
        status, page = await user.ask("GET", path)
        assert status == 200, page
        found = [*page["messages"], *found]
        before = page["older_page_token"]
        if not before:
            return found
