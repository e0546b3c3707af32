"""A device that was away for long: ten thousand messages, and what is left out of very large conversations."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from kit.clock import ManualClock
from kit.message_ids import group_id
from message_svc.actions import CreateGroup, MarkDelivered, Send
from message_svc.commands import Command, Outcome
from message_svc.domain import MAX_PENDING_ITEMS, Body
from tests.contract.messages.conversation_engine import Engine
from tests.contract.messages.test_conversation_store import sqlite_engine
from tests.flows.messages.test_backlog import backlog_on, connected
from tests.flows.messages.test_chat_seed_requests import Api
from tests.flows.messages.test_receipts import receipt_on
from tests.running import Stack

CONVERSATIONS, MESSAGES = 200, 50


async def filled(engine: Engine, name: str, messages: int) -> str:
    """A group of alice and bob with messages of alice."""
    conversation_id = group_id("default", "alice", name)
    commands = [
        Command("default", conversation_id, "alice", name, CreateGroup(name, "", ("bob",))),
        *(
            Command("default", conversation_id, "alice", f"{name}-{number}", Send(Body(f"message {number}")))
            for number in range(messages)
        ),
    ]
    for start in range(0, len(commands), 500):
        answers = await engine.ledger.apply(commands[start : start + 500])
        assert all(isinstance(answer, Outcome) for answer in answers)
    return conversation_id


@pytest.fixture(name="http")
async def fixture_http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def test_ten_thousand_messages_of_two_hundred_conversations_come_within_five_seconds(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with sqlite_engine(tmp_path / "messages.db", ManualClock()) as engine:
        for number in range(CONVERSATIONS):
            await filled(engine, f"g{number}", MESSAGES)
    with Stack(tmp_path) as stack:
        alice, bob = Api(stack, http, "alice"), Api(stack, http, "bob")
        async with alice.socket() as of_alice:
            await of_alice.send_json({"type": "subscribe", "id": 2, "topics": ["users/alice"]})
            began = time.monotonic()
            async with connected(bob) as socket:
                messages, done = await backlog_on(socket)
                seconds = time.monotonic() - began
                await socket.send_json({"type": "ack", "seq": messages[-1]["seq"]})
                told = {(await receipt_on(of_alice))["conversation_id"] for _ in range(CONVERSATIONS)}
        assert told == {message["conversation_id"] for message in messages}
        async with connected(bob) as socket:
            assert (await backlog_on(socket))[0] == []
    assert (done["conversations"], done["messages"]) == (CONVERSATIONS, CONVERSATIONS * MESSAGES)
    assert len({message["message_id"] for message in messages}) == CONVERSATIONS * MESSAGES
    seqs: dict[str, list[int]] = {}
    for message in messages:
        seqs.setdefault(message["conversation_id"], []).append(message["message_seq"])
    assert all(numbers == list(range(2, MESSAGES + 2)) for numbers in seqs.values())
    print(f"{len(messages)} messages in {seconds:.1f} s")
    assert seconds < 5


async def test_of_a_very_large_conversation_the_last_messages_come_and_the_rest_is_left_to_the_client(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    size = MAX_PENDING_ITEMS + 100
    async with sqlite_engine(tmp_path / "messages.db", ManualClock()) as engine:
        small = await filled(engine, "small", 3)
        large = await filled(engine, "large", 1)
        first = Command("default", large, "bob", "", MarkDelivered(2, "phone-1"))
        more = [Command("default", large, "alice", f"more-{n}", Send(Body(str(n)))) for n in range(size)]
        await engine.ledger.apply([first, *more])
    with Stack(tmp_path) as stack:
        alice, bob = Api(stack, http, "alice"), Api(stack, http, "bob")
        async with connected(bob) as socket:
            messages, done = await backlog_on(socket)
            by_conversation = {
                name: [one["message_seq"] for one in messages if one["conversation_id"] == name]
                for name in (small, large)
            }
            assert by_conversation[large] == list(range(size + 3 - MAX_PENDING_ITEMS, size + 3))
            assert (by_conversation[small], done["incomplete"]) == ([2, 3, 4], [large])
            async with alice.socket() as of_alice:
                await of_alice.send_json({"type": "subscribe", "id": 2, "topics": ["users/alice"]})
                await socket.send_json({"type": "ack", "seq": messages[-1]["seq"]})
                assert (await receipt_on(of_alice))["conversation_id"] == small
                # Only the client knows when it has loaded the rest.
                last = next(one for one in reversed(messages) if one["conversation_id"] == large)
                body = {"message_id": last["message_id"], "device_id": "phone-1"}
                await bob.ask("POST", f"/api/v1/conversations/{large}/delivered", body)
                assert (await receipt_on(of_alice))["message_id"] == last["message_id"]
        async with connected(bob) as socket:
            assert (await backlog_on(socket))[0] == []
