"""The sessions of a user: for the user, services and the command line, and for no other caller."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from plaudit_client import connect
from stack.commands.sessions_client import list_sessions
from stack.settings.model import Settings
from tests.flows.clients import new_user
from tests.running import Stack


async def listed(stack: Stack, token: str, user: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{stack.http_url}/api/v1/users/{user}/sessions", headers=headers) as response,
    ):
        return response.status, await response.json()


async def reported(stack: Stack, token: str, user: str, count: int) -> list[dict[str, Any]]:
    """The sessions, once there are so many: they are reported to the registry a moment later."""
    async with asyncio.timeout(10):
        while True:
            status, body = await listed(stack, token, user)
            assert status == 200
            found: list[dict[str, Any]] = body.get("sessions", [])
            if len(found) == count:
                return found
            await asyncio.sleep(0.01)


async def test_a_user_lists_only_their_own_sessions(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    token = shared_stack.token(alice)
    assert await listed(shared_stack, token, alice) == (200, {"sessions": [], "from_routes": False})
    async with connect(shared_stack.ws_url, token):
        [session] = await reported(shared_stack, token, alice, 1)
        assert (session["user"], session["tenant"]) == (alice, "default")
        assert session["node_id"]
        status, body = await listed(shared_stack, shared_stack.token(bob), alice)
        assert status == 403
        assert body["details"][0]["reason"] == "ACCESS_DENIED"
        assert await listed(shared_stack, shared_stack.token(alice, "acme"), alice) == (
            200,
            {"sessions": [], "from_routes": False},
        )
    await reported(shared_stack, token, alice, 0)


async def test_the_command_line_shows_the_node_of_a_user(shared_stack: Stack) -> None:
    alice = new_user("alice")
    token = shared_stack.token(alice)
    settings = Settings.model_validate({"data": shared_stack.data, "grpc": shared_stack.grpc_address})
    assert await list_sessions(settings, alice) == {"sessions": [], "from_routes": False}
    async with connect(shared_stack.ws_url, token):
        [seen] = await reported(shared_stack, token, alice, 1)
        [line] = (await list_sessions(settings, alice))["sessions"]
        assert (line["session"], line["node"], str(line["epoch"])) == (
            seen["session_id"],
            seen["node_id"],
            seen["epoch"],
        )
        assert line["since"].startswith("20")
