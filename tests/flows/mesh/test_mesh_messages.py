"""Conversations and users in a whole mesh: REST, sockets, gRPC and pages at the edge, and nodes that are killed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from playwright.sync_api import Browser, Page, expect

from plaudit.message.v1 import message_service_pb2 as pb
from plaudit.message.v1 import message_service_pb2_grpc as pb_grpc
from tests.browsing import chromium
from tests.engines import Engines
from tests.flows.clients import new_user
from tests.flows.mesh.mesh_users import MeshUser, history, items
from tests.flows.mesh.meshes import RunningMesh
from tests.flows.page.messaging import field, message, open_conversation, row, say, texts, ticks

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(name="mesh", scope="module")
def fixture_mesh(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    urls = {"records": engines.cassandra(), "hot": engines.redis(), "events": engines.kafka()}
    urls["users"] = engines.postgres()
    with RunningMesh(tmp_path_factory.mktemp("mesh"), **urls) as mesh:
        yield mesh


@pytest.fixture(name="users")
async def fixture_users(mesh: RunningMesh) -> AsyncIterator[list[MeshUser]]:
    async with aiohttp.ClientSession(f"http://{mesh.http}", timeout=aiohttp.ClientTimeout(10)) as http:
        yield [MeshUser(mesh, http, new_user(name)) for name in ("alice", "bob", "carol", "dan")]


async def test_two_users_chat_through_the_edge(mesh: RunningMesh, users: list[MeshUser]) -> None:
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


async def test_a_profile_is_the_same_on_every_node(mesh: RunningMesh, users: list[MeshUser]) -> None:
    for number, user in enumerate(users):
        name = f"{user.user}-{number}"[:50]
        assert (await user.ask("PATCH", "/api/v1/profile", {"username": name}))[0] == 200
        # Envoy and the gateways divide these over both nodes.
        for other in users:
            for _ in range(10):
                status, found = await other.ask("GET", f"/api/v1/users/{user.user}")
                assert (status, found.get("user", {}).get("username")) == (200, name)


@pytest.mark.browser
def test_two_windows_chat_over_tls(mesh: RunningMesh, tmp_path: Path) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    with chromium() as browser:
        of_alice, of_bob = window(browser, mesh, alice), window(browser, mesh, bob)
        # The first conversation with a message opens by itself.
        expect(of_bob.get_by_role("heading", name="Load-in crew", exact=True)).to_be_visible()
        of_alice.get_by_role("button", name="New conversation").first.click()
        of_alice.get_by_label("To", exact=True).fill(bob)
        of_alice.get_by_role("button", name="Start", exact=True).click()
        expect(field(of_alice)).to_be_focused()
        say(of_alice, "Are you in the stalls?")
        expect(row(of_bob, alice).locator(".badge")).to_have_text(re.compile("^1"))
        expect(ticks(of_alice, "Are you in the stalls?")).to_have_attribute("title", "Delivered")
        open_conversation(of_bob, alice)
        expect(ticks(of_alice, "Are you in the stalls?")).to_have_attribute("title", "Read")
        say(of_bob, "Row F, seat 12.")
        expect(message(of_alice, "Row F, seat 12.")).to_be_visible()
        of_alice.screenshot(path=tmp_path / "mesh.png")
        assert texts(of_alice) == texts(of_bob) == ["Are you in the stalls?", "Row F, seat 12."]


def window(browser: Browser, mesh: RunningMesh, user: str) -> Page:
    """A window of a user who is connected."""
    page = browser.new_context(ignore_https_errors=True).new_page()  # the authority is our own
    page.goto(f"https://{mesh.https}/")
    page.get_by_label("Your name", exact=True).fill(user)
    page.get_by_role("button", name="Take a seat").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


@pytest.mark.parametrize("kind", ["message_svc", "fanout_svc"])
async def test_a_node_killed_while_messages_are_sent_costs_none_and_doubles_none(
    mesh: RunningMesh, users: list[MeshUser], kind: str
) -> None:
    creator, *senders = users
    made = [
        await creator.ask("POST", "/api/v1/groups", {"name": f"{number}", "member_ids": [one.user for one in senders]})
        for number in range(3)
    ]
    groups = [answer["conversation_id"] for _, answer in made]
    acked: dict[str, dict[int, str]] = {group: {} for group in groups}
    is_over = asyncio.Event()

    async def talk(sender: MeshUser, group: str) -> None:
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
            # A push may come again after a node was killed; a client drops what it has.
            if push["type"] == "new_message" and push["message_seq"] not in heard[push["conversation_id"]]:
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
