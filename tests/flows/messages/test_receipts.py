"""What senders hear of those who receive and read their messages."""

from __future__ import annotations

from typing import Any

from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture


async def receipt_on(socket: Any) -> Any:
    """The next receipt; other pushes are skipped."""
    while (frame := await received(socket))["type"] != "receipt":
        pass
    return frame


async def nothing_more(socket: Any) -> None:
    """The answer to a ping is next."""
    await socket.send_json({"type": "ping", "id": 99})
    assert (await received(socket))["type"] == "pong"


async def sent(user: Api, conversation_id: str, content: str = "Hello!") -> Any:
    _, answer = await user.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", {"content": content})
    return answer


async def test_each_device_of_the_sender_gets_receipts_of_delivery_and_reading(talk: Talk) -> None:
    (alice, of_alice), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    other_device = await talk.socket_of(alice)
    conversation_id = await alice.direct(bob.user)
    message = await sent(alice, conversation_id)
    path = f"/api/v1/conversations/{conversation_id}"
    await bob.ask("POST", f"{path}/delivered", {"message_id": message["message_id"], "device_id": "phone"})
    for socket in (of_alice, other_device):
        receipt = await receipt_on(socket)
        assert "seq" not in receipt
        assert receipt["topic"] == f"users/{alice.user}"
        assert (receipt["status"], receipt["message_id"]) == ("delivered", message["message_id"])
        assert (receipt["conversation_id"], receipt["message_seq"]) == (conversation_id, message["message_seq"])
        assert receipt["user_id"] == bob.user
        assert receipt["timestamp"] >= message["timestamp"]
    await bob.ask("POST", f"{path}/read", {"message_id": message["message_id"]})
    read = await receipt_on(of_alice)
    assert (read["status"], read["read_seq"]) == ("read", message["message_seq"])


async def test_a_burst_of_receipts_is_merged(talk: Talk) -> None:
    (alice, of_alice), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    messages = [await sent(alice, conversation_id, str(number)) for number in range(20)]
    for message in messages:
        await bob.ask("POST", f"/api/v1/conversations/{conversation_id}/read", {"message_id": message["message_id"]})
    heard = [await receipt_on(of_alice)]
    while heard[-1]["message_id"] != messages[-1]["message_id"]:
        heard.append(await receipt_on(of_alice))
    seqs = [receipt["read_seq"] for receipt in heard]
    assert seqs == sorted(set(seqs)), "receipts do not go back"
    assert len(heard) < len(messages) / 2


async def test_receipts_of_several_members_come_together(talk: Talk) -> None:
    (alice, of_alice), (bob, _), (carol, _) = [await talk.joined(name) for name in ("alice", "bob", "carol")]
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "T", "member_ids": [bob.user, carol.user]})
    conversation_id = made["conversation_id"]
    path = f"/api/v1/conversations/{conversation_id}"
    messages = [await sent(alice, conversation_id, str(number)) for number in range(3)]
    for message in messages:
        for member in (bob, carol):
            await member.ask("POST", f"{path}/read", {"message_id": message["message_id"]})
    read: dict[str, int] = {}
    pushes = 0
    while read != dict.fromkeys((bob.user, carol.user), messages[-1]["message_seq"]):
        receipt = await receipt_on(of_alice)
        pushes += 1
        for one in (receipt, *receipt["others"]):
            assert one["read_seq"] >= read.get(one["user_id"], 0), "receipts do not go back"
            read[one["user_id"]] = one["read_seq"]
    assert pushes < 6


async def test_a_private_read_and_receipts_of_others_are_not_pushed(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob), (carol, _) = [await talk.joined(name) for name in ("alice", "bob", "carol")]
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "T", "member_ids": [bob.user, carol.user]})
    conversation_id = made["conversation_id"]
    message = await sent(alice, conversation_id)
    path = f"/api/v1/conversations/{conversation_id}"
    await carol.ask("POST", f"{path}/read", {"message_id": message["message_id"], "private": True})
    await carol.ask("POST", f"{path}/delivered", {"message_id": message["message_id"]})
    receipt = await receipt_on(of_alice)
    assert (receipt["status"], receipt["read_seq"]) == ("delivered", 0)
    # Bob has sent nothing: he hears the group and the message.
    assert [(await received(of_bob))["type"] for _ in range(2)] == ["member_changed", "new_message"]
    await nothing_more(of_bob)
