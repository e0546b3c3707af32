"""A message is delivered when a device acknowledges its push, and not before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture
from tests.flows.messages.test_receipts import nothing_more, receipt_on, sent


async def message_on(socket: Any) -> Any:
    """The next message; other pushes are skipped."""
    while (frame := await received(socket))["type"] != "new_message":
        pass
    return frame


async def delivered_seq(user: Api, conversation_id: str) -> int:
    """Up to which number the other member has received all."""
    _, page = await user.ask("GET", f"/api/v1/conversations/{conversation_id}/receipts")
    return int(page["receipts"][0]["delivered_seq"])


@pytest.mark.parametrize("frame", ["ack", "ping"])
async def test_an_ack_of_a_device_makes_a_message_delivered_for_its_sender(talk: Talk, frame: str) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    message = await sent(alice, conversation_id)
    push = await message_on(of_bob)
    assert push["message_id"] == message["message_id"]
    # Written to the socket is not received by the device.
    assert await delivered_seq(alice, conversation_id) == 0
    await of_bob.send_json({"type": frame, "seq": push["seq"]})
    receipt = await receipt_on(of_alice)
    assert (receipt["status"], receipt["message_id"], receipt["user_id"]) == (
        "delivered",
        message["message_id"],
        bob.user,
    )
    assert await delivered_seq(alice, conversation_id) == message["message_seq"]


async def test_an_ack_has_no_answer_and_an_ack_of_an_unsent_push_moves_no_cursor(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    await of_bob.send_json({"type": "ack", "id": 7, "seq": 1 << 60})
    await nothing_more(of_bob)
    conversation_id = await alice.direct(bob.user)
    message = await sent(alice, conversation_id)
    push = await message_on(of_bob)
    assert await delivered_seq(alice, conversation_id) == 0
    await of_bob.send_json({"type": "ack", "seq": push["seq"]})
    assert (await receipt_on(of_alice))["message_id"] == message["message_id"]
    await of_bob.send_json({"type": "ack", "seq": -1})
    assert (await received(of_bob))["type"] == "error"


async def test_acks_in_quick_succession_are_few_changes_and_the_last_is_recorded(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    for number in range(20):
        message = await sent(alice, conversation_id, str(number))
        await of_bob.send_json({"type": "ack", "seq": (await message_on(of_bob))["seq"]})
    receipts = [await receipt_on(of_alice)]
    while receipts[-1]["message_id"] != message["message_id"]:
        receipts.append(await receipt_on(of_alice))
    assert len(receipts) < 10
    seqs = [receipt["delivered_seq"] for receipt in receipts]
    assert seqs == sorted(set(seqs))


async def test_a_resume_marks_acknowledged_messages_as_delivered(talk: Talk) -> None:
    (alice, of_alice), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    async with bob.raw_socket() as socket:
        await socket.send_json({"type": "hello", "id": 1, "device": "phone-1"})
        session = (await received(socket))["session"]
        await socket.send_json({"type": "subscribe", "id": 2, "topics": [f"users/{bob.user}"]})
        assert (await received(socket))["type"] == "subscribed"
        message = await sent(alice, conversation_id)
        push = await message_on(socket)
        await socket.send_json({"type": "ping", "id": 3})
        token = (await received(socket))["resume_token"]
        await socket.close(code=1001)
    assert await delivered_seq(alice, conversation_id) == 0
    async with bob.raw_socket() as socket:
        topics = [{"topic": f"users/{bob.user}"}]
        await socket.send_json(
            {"type": "resume", "id": 1, "session": session, "resume_token": token, "seq": push["seq"], "topics": topics}
        )
        assert (await received(socket))["verdict"] == "complete"
    assert (await receipt_on(of_alice))["message_id"] == message["message_id"]
    assert await delivered_seq(alice, conversation_id) == message["message_seq"]
