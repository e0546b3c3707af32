"""What a device gets when it connects: all that it has not acknowledged, and then what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture
from tests.flows.messages.test_receipts import receipt_on, sent


@asynccontextmanager
async def connected(user: Api, device: str = "phone-1") -> AsyncIterator[Any]:
    """A new session of the device that asks for its backlog."""
    async with user.raw_socket() as socket:
        await socket.send_json({"type": "hello", "id": 1, "device": device, "backlog": True})
        assert (await received(socket))["type"] == "welcome"
        yield socket


async def backlog_on(socket: Any) -> tuple[list[Any], Any]:
    """The messages before `backlog_done`, and that frame."""
    messages = []
    while (frame := await received(socket))["type"] != "backlog_done":
        assert frame["type"] == "new_message"
        messages.append(frame)
    return messages, frame


async def test_a_device_gets_what_it_has_not_acknowledged_and_the_sender_hears_of_it(talk: Talk) -> None:
    (alice, of_alice), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    expected = [(await sent(alice, conversation_id, str(number)))["message_id"] for number in range(5)]
    async with connected(bob) as socket:
        messages, done = await backlog_on(socket)
        assert [message["message_id"] for message in messages] == expected
        assert [message["seq"] for message in messages] == [1, 2, 3, 4, 5]
        assert {message["topic"] for message in messages} == {f"users/{bob.user}"}
        assert (done["conversations"], done["messages"], done["incomplete"]) == (1, 5, [])
        # What happens now is pushed, with the next number.
        live = await sent(alice, conversation_id, "live")
        push = await received(socket)
        assert (push["message_id"], push["seq"]) == (live["message_id"], 6)
        await socket.send_json({"type": "ack", "seq": 3})
        receipt = await receipt_on(of_alice)
        while receipt["message_id"] != expected[2]:
            receipt = await receipt_on(of_alice)
    # Another session of the device gets the rest, another device what no device has received.
    for device in ("phone-1", "tablet"):
        async with connected(bob, device) as socket:
            messages, _ = await backlog_on(socket)
            assert [message["message_id"] for message in messages] == [*expected[3:], live["message_id"]]


async def test_a_device_is_named_and_one_without_messages_gets_an_empty_backlog(talk: Talk) -> None:
    bob, _ = await talk.joined("bob")
    async with bob.raw_socket() as socket:
        await socket.send_json({"type": "hello", "id": 1, "backlog": True})
        error = await received(socket)
        assert (error["type"], error["field"]) == ("error", "device")
    async with connected(bob) as socket:
        messages, done = await backlog_on(socket)
        assert (messages, done["messages"]) == ([], 0)


async def test_a_conversation_begun_while_a_known_device_was_away_is_pushed_from_its_beginning(talk: Talk) -> None:
    (alice, of_alice), (bob, _), (carol, _) = [await talk.joined(name) for name in ("alice", "bob", "carol")]
    first = await alice.direct(bob.user)
    await sent(alice, first)
    async with connected(bob, "laptop") as socket:
        messages, _ = await backlog_on(socket)
        await socket.send_json({"type": "ack", "seq": messages[-1]["seq"]})
        await receipt_on(of_alice)
    second = await carol.direct(bob.user)
    expected = [(await sent(carol, second, str(number)))["message_id"] for number in range(3)]
    path = f"/api/v1/conversations/{second}/delivered"
    await bob.ask("POST", path, {"message_id": expected[-1], "device_id": "phone-1"})
    async with connected(bob, "laptop") as socket:
        messages, _ = await backlog_on(socket)
        assert [message["message_id"] for message in messages] == expected


async def test_messages_that_are_sent_during_the_backlog_are_neither_lost_nor_out_of_order(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    for number in range(40):
        await sent(alice, conversation_id, str(number))

    async def send_more() -> None:
        for number in range(40, 80):
            await sent(alice, conversation_id, str(number))

    sending = asyncio.create_task(send_more())
    async with connected(bob) as socket:
        frames = [await received(socket) for _ in range(81)]
    await sending
    messages = [frame for frame in frames if frame["type"] == "new_message"]
    assert [message["content"] for message in messages] == [str(number) for number in range(80)]
    assert [message["seq"] for message in messages] == list(range(1, 81))


async def test_a_socket_that_is_lost_during_the_backlog_gets_the_rest_after_resume(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    expected = [(await sent(alice, conversation_id, str(number)))["message_id"] for number in range(6)]
    async with bob.raw_socket() as socket:
        await socket.send_json({"type": "hello", "id": 1, "device": "phone-1", "backlog": True})
        welcome = await received(socket)
        await backlog_on(socket)
        await socket.close(code=1001)
    # The client has seen four of them.
    async with bob.raw_socket() as socket:
        resume = {"type": "resume", "id": 1, "session": welcome["session"], "resume_token": welcome["resume_token"]}
        topics = [{"topic": f"users/{bob.user}"}]
        await socket.send_json({**resume, "seq": 4, "device": "phone-1", "topics": topics, "backlog": True})
        resumed = await received(socket)
        assert (resumed["verdict"], resumed["reload"]) == ("partial", [f"users/{bob.user}"])
        messages, _ = await backlog_on(socket)
        assert {message["message_id"] for message in messages} >= set(expected[4:])
        assert [message["seq"] for message in messages] == list(range(5, 5 + len(messages)))
