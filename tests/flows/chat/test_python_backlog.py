"""The Python client of a device that was away: nothing that was sent to it is acknowledged before it is taken."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from kit.clock import ManualClock
from plaudit_client import Client, Conversations, Options, PlauditError, connect
from plaudit_client.resume_state import ACK_DELAY
from plaudit_client.values import OtherPush
from tests.contract.messages.test_conversation_store import sqlite_engine
from tests.flows.chat.test_python_chat import heard, until
from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api
from tests.flows.messages.test_large_backlog import CONVERSATIONS, MESSAGES, filled
from tests.flows.messages.test_receipts import receipt_on
from tests.running import Stack

QUICK = Options(backoff_ceiling=0.2, call_timeout=20)


@pytest.fixture(name="http")
async def fixture_http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def phone_of(stack: Stack, user: str):  # type: ignore[no-untyped-def]  # the context manager of `connect`
    url = stack.http_url.replace("http:", "ws:")
    return connect(url, stack.token(user), device="phone", backlog=True, options=QUICK)


async def write(stack: Stack, sender: str, recipient: str, *texts: str) -> None:
    url = stack.http_url.replace("http:", "ws:")
    async with connect(url, stack.token(sender), options=QUICK) as client, client.conversations() as conversations:
        for text in texts:
            await conversations.send_to(recipient, text)


async def test_what_was_sent_while_the_device_was_away_is_read_once(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    await write(shared_stack, alice, bob, "one", "two")
    async with phone_of(shared_stack, bob) as client, client.conversations() as conversations:
        assert await heard(conversations, 2) == ["one", "two"]
        assert conversations.unread == 2
        await write(shared_stack, alice, bob, "three")
        assert await heard(conversations, 1) == ["three"]


async def test_a_program_that_ends_before_it_asks_for_conversations_gets_the_messages_again(
    shared_stack: Stack,
) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    await write(shared_stack, alice, bob, "one", "two")
    for _ in range(2):
        async with phone_of(shared_stack, bob) as client:
            await pushes_arrived(client)
    async with phone_of(shared_stack, bob) as client:
        await pushes_arrived(client)
        async with client.conversations() as conversations:
            assert await heard(conversations, 2) == ["one", "two"]


async def pushes_arrived(client: Client) -> None:
    """Returns once the backlog is pushed, and the server would have an acknowledgement of it."""
    now = asyncio.get_running_loop().time
    await until(lambda: not client._connection.is_backlog_pending, 60)
    acknowledged_at = now() + ACK_DELAY
    await until(lambda: now() > acknowledged_at)
    await client.own("messages/1")  # the server reads frames in their order


async def test_pushes_between_two_blocks_of_conversations_are_kept_for_the_second(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    async with phone_of(shared_stack, bob) as client:
        async with client.conversations() as conversations:
            await write(shared_stack, alice, bob, "one")
            assert await heard(conversations, 1) == ["one"]
        await write(shared_stack, alice, bob, "two")
        async with client.conversations() as conversations:
            assert await heard(conversations, 1) == ["two"]


async def test_a_killed_server_repeats_and_loses_nothing_of_the_backlog(stack: Stack) -> None:
    await write(stack, "alice", "bob", "one", "two")
    async with phone_of(stack, "bob") as client:
        stack.kill()
        stack.restart()
        async with client.conversations() as conversations:
            await write(stack, "alice", "bob", "three")
            assert await heard(conversations, 3) == ["one", "two", "three"]
            assert await texts_of(conversations) == ["one", "two", "three"]


async def texts_of(conversations: Conversations) -> list[str]:
    async with conversations.open(conversations.all[0].conversation_id) as timeline:
        return [message.content for message in timeline.messages]


async def test_ten_thousand_messages_are_taken_in_bounded_memory(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with sqlite_engine(tmp_path / "messages.db", ManualClock()) as engine:
        for number in range(CONVERSATIONS):
            await filled(engine, f"g{number}", MESSAGES)
    with Stack(tmp_path) as stack:
        async with Api(stack, http, "alice").socket() as of_alice:
            await of_alice.send_json({"type": "subscribe", "id": 2, "topics": ["users/alice"]})
            async with phone_of(stack, "bob") as client:
                await pushes_arrived(client)
                # Not `isinstance`, which follows weak references of other tests to objects that are gone.
                kept = sum(type(each) is OtherPush for each in gc.get_objects())
                assert kept < CONVERSATIONS
                async with client.conversations() as conversations:
                    await until(lambda: conversations.unread == CONVERSATIONS * MESSAGES)
                    delivered = {(await receipt_on(of_alice))["conversation_id"] for _ in range(CONVERSATIONS)}
                    assert len(delivered) == CONVERSATIONS
                    found = await heard(conversations, CONVERSATIONS * MESSAGES)
    assert sorted(found) == sorted(f"message {n}" for n in range(MESSAGES) for _ in range(CONVERSATIONS))


async def test_a_backlog_needs_a_device() -> None:
    with pytest.raises(PlauditError, match="NO_DEVICE"):
        async with connect("ws://127.0.0.1:1", "token", backlog=True):
            pass
