"""Messages that disappear: for members on every interface, and their rows and reactions in the files."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.flows.messages.groups import Group, pushed
from tests.running import Stack

_SECONDS = 2


@pytest.fixture(name="stack")
def fixture_stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "data", MESSAGE__PURGE_DELAY_SECONDS="0.5", MESSAGE__RETENTION_CHECK_SECONDS="0.1")


@pytest.fixture(name="group")
async def fixture_group(stack: Stack) -> AsyncIterator[Group]:
    with stack:
        async with aiohttp.ClientSession() as http, AsyncExitStack() as sockets:
            made = Group(stack, http, sockets)
            await made.make()
            yield made


def counted(stack: Stack, file: str, statement: str) -> int:
    """The result of a statement on a file of the stack."""
    with closing(sqlite3.connect(stack.data / file)) as connection:
        (found,) = connection.execute(statement).fetchone()
    return int(found)


async def until_purged(stack: Stack, items: int, seconds: float = 30.0) -> None:
    """Waits until the rows of so many items are removed; raises TimeoutError."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(seconds):
        while True:
            async with http.get(f"{stack.http_url}/metrics") as answer:
                found = re.search(r"^plaudit_message_items_purged_total (\S+)", await answer.text(), re.MULTILINE)
            if found is not None and float(found[1]) >= items:
                return
            await asyncio.sleep(0.05)


async def test_members_hear_that_messages_have_disappeared_and_nothing_of_them_is_left(
    group: Group, stack: Stack
) -> None:
    react = {"target": group.target, "emoji": "👍", "on": True}
    status, _ = await group.member.ask("POST", "/api/v1/reactions:set", react)
    assert status == 200
    of_member, of_stranger = await group.socket(group.member), await group.socket(group.stranger)
    for socket, user in ((of_member, group.member.user), (of_stranger, group.stranger.user)):
        await socket.ask("subscribe", topics=[f"users/{user}"])
    status, changed = await group.admin.ask("PUT", f"{group.path}/retention", {"retention_seconds": _SECONDS})
    assert (status, changed["message_seq"]) == (200, 4)
    change = (await pushed(of_member, "member_changed"))["change"]
    assert (change["type"], change["retention_seconds"]) == ("CHANGE_TYPE_RETENTION_CHANGED", _SECONDS)
    expired = await pushed(of_member, "messages_expired")
    assert expired["conversation_id"] == group.conversation_id
    while expired["visible_from_seq"] < 5:
        expired = await pushed(of_member, "messages_expired")
    # At once, on every way to the message.
    _, page = await group.member.ask("GET", f"{group.path}/messages")
    assert page["messages"] == []
    _, found = await group.member.ask("GET", group.path)
    conversation = found["conversation"]
    assert (conversation["visible_from_seq"], conversation["unread_count"]) == (5, 0)
    assert (conversation["retention_seconds"], conversation.get("last_message")) == (_SECONDS, None)
    _, changes = await group.member.ask("GET", f"{group.path}/changes?after_seq=0")
    assert (changes["changes"], changes["last_message_seq"], changes["visible_from_seq"]) == ([], 4, 5)
    status, _ = await group.member.ask("POST", f"{group.path}/messages", {"content": "x", "reply_to": group.message_id})
    assert status == 404
    status, _ = await group.member.ask("POST", "/api/v1/reactions:set", react)
    assert status == 404
    refused = await of_member.ask("subscribe", topics=[group.target])
    assert "NOT_FOUND" in str(refused)
    # And soon in the files.
    await until_purged(stack, 4)
    assert not [frame for frame in of_stranger.pushes if frame["type"] == "messages_expired"]
    assert (await pushed(of_member, "own_reaction_update"))["removed"] == "👍"
    stack.kill()
    assert counted(stack, "messages.db", "SELECT count(*) FROM item WHERE type NOT IN (1, 9)") == 0
    assert counted(stack, "reactions.db", "SELECT count(*) FROM record") == 0
    assert counted(stack, "messages.db", "SELECT count(*) FROM operation WHERE op_id <> ''") > 0


async def test_a_process_that_was_killed_goes_on_with_what_is_due(group: Group, stack: Stack) -> None:
    await group.admin.ask("PUT", f"{group.path}/retention", {"retention_seconds": _SECONDS})
    stack.kill()
    await asyncio.to_thread(stack.restart)
    await until_purged(stack, 4)
    stack.kill()
    assert counted(stack, "messages.db", "SELECT count(*) FROM item WHERE type NOT IN (1, 9)") == 0


async def test_only_those_who_may_change_the_retention(group: Group) -> None:
    status, _ = await group.member.ask("PUT", f"{group.path}/retention", {"retention_seconds": 60})
    assert status == 403
    direct = await group.member.direct(group.admin.user)
    status, _ = await group.member.ask("PUT", f"/api/v1/conversations/{direct}/retention", {"retention_seconds": 60})
    assert status == 200


async def test_new_conversations_have_the_retention_of_the_settings(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", MESSAGE__RETENTION_SECONDS="86400") as stack:
        async with aiohttp.ClientSession() as http, AsyncExitStack() as sockets:
            made = Group(stack, http, sockets)
            await made.make()
            _, found = await made.member.ask("GET", made.path)
            conversation: Any = found["conversation"]
            assert conversation["retention_seconds"] == 86_400
