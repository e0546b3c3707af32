"""Conversations in a whole mesh: REST, sockets and gRPC at the edge, and a node of message_svc that is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import message_service_pb2 as pb
from plaudit.message.v1 import message_service_pb2_grpc as pb_grpc
from tests.engines import Engines
from tests.flows.clients import new_user
from tests.flows.mesh.meshes import RunningMesh

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(name="mesh", scope="module")
def fixture_mesh(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    urls = {"records": engines.cassandra(), "hot": engines.redis(), "events": engines.kafka()}
    urls["users"] = engines.postgres()
    with RunningMesh(tmp_path_factory.mktemp("mesh"), **urls) as mesh:
        yield mesh


class User:
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
                assert status in (0, 503, 504), answer
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


@pytest.fixture(name="users")
async def fixture_users(mesh: RunningMesh) -> AsyncIterator[list[User]]:
    async with aiohttp.ClientSession(f"http://{mesh.http}", timeout=aiohttp.ClientTimeout(10)) as http:
        yield [User(mesh, http, new_user(name)) for name in ("alice", "bob", "carol", "dan")]


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


async def history(user: User, conversation_id: str) -> list[dict[str, Any]]:
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


async def test_two_users_chat_through_the_edge(mesh: RunningMesh, users: list[User]) -> None:
    alice, bob, eve, _ = users
    async with alice.listening() as of_alice, bob.listening() as of_bob:
        body = {"recipient_id": bob.user, "content": "Hello!", "client_msg_id": "1"}
        status, sent = await alice.ask("POST", "/api/v1/messages", body)
        assert status == 202
        assert (sent["message_seq"], type(sent["timestamp"])) == (2, int)
        conversation_id = sent["conversation_id"]
        for socket in (of_alice, of_bob):
            created, message = await items(socket, 2)
            assert (created["type"], message["content"], message["message_id"]) == (
                "member_changed", "Hello!", sent["message_id"],
            )  # fmt: skip
        assert await bob.send(conversation_id, "Hi") == 3
        (answer,) = await items(of_alice, 3)
        assert (answer["sender_id"], answer["content"]) == (bob.user, "Hi")
    assert [message["content"] for message in await history(alice, conversation_id)] == ["Hello!", "Hi"]
    _, found = await alice.ask("GET", "/api/v1/conversations")
    assert [(one["conversation_id"], one["unread_count"]) for one in found["conversations"]] == [(conversation_id, 1)]
    assert (await eve.ask("GET", f"/api/v1/conversations/{conversation_id}/messages"))[0] == 404
    credentials = grpc.ssl_channel_credentials(mesh.ca.read_bytes())
    async with grpc.aio.secure_channel(mesh.https, credentials) as channel:
        stub: Any = pb_grpc.MessageServiceStub(channel)
        metadata = [("authorization", alice.headers["Authorization"]), ("plaudit-route-key", conversation_id)]
        page = await stub.ListMessages(
            pb.ListMessagesRequest(conversation_id=conversation_id), metadata=metadata, timeout=10
        )
        assert [message.message_seq for message in page.messages] == [2, 3]


@pytest.mark.parametrize("kind", ["message_svc", "fanout_svc"])
async def test_a_node_killed_while_messages_are_sent_costs_none_and_doubles_none(
    mesh: RunningMesh, users: list[User], kind: str
) -> None:
    creator, *senders = users
    made = [
        await creator.ask("POST", "/api/v1/groups", {"name": f"{number}", "member_ids": [one.user for one in senders]})
        for number in range(3)
    ]
    groups = [answer["conversation_id"] for _, answer in made]
    acked: dict[str, dict[int, str]] = {group: {} for group in groups}
    is_over = asyncio.Event()

    async def talk(sender: User, group: str) -> None:
        number = 0
        while not is_over.is_set():
            content = f"{sender.user} {number}"
            acked[group][await sender.send(group, content)] = content
            number += 1

    async def at_least(more: int) -> None:
        wanted = sum(map(len, acked.values())) + more
        async with asyncio.timeout(90):
            while sum(map(len, acked.values())) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    heard: dict[str, list[int]] = {group: [] for group in groups}

    async def listen(socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            push = await socket.receive_json()
            if push["type"] == "new_message":
                heard[push["conversation_id"]].append(push["message_seq"])
                if not sum(map(len, heard.values())) % 20:
                    await socket.send_json({"type": "ack", "seq": push["seq"]})

    async with creator.listening() as socket:
        listening = asyncio.create_task(listen(socket))
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                for sender in senders:
                    tasks.create_task(talk(sender, group))
            await at_least(30)
            await mesh.kill(f"{kind}-1")
            await at_least(60)
            is_over.set()
        async with asyncio.timeout(60):
            while any(len(heard[group]) < len(acked[group]) for group in groups):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        listening.cancel()
    for group in groups:
        stored = await history(creator, group)
        # What was acknowledged, and nothing else: once, in the order of each sender, without a gap.
        assert {message["message_seq"]: message["content"] for message in stored} == acked[group]
        assert [message["message_seq"] for message in stored] == list(range(2, len(stored) + 2))
        for sender in senders:
            own = [message["content"] for message in stored if message["sender_id"] == sender.user]
            assert own == [f"{sender.user} {number}" for number in range(len(own))]
        assert heard[group] == [message["message_seq"] for message in stored]
