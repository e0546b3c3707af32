"""The notifications of members whom a message has not reached, from the send to the topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf.json_format import MessageToDict

from tests.flows.clients import new_user, raw_socket
from tests.flows.messages.notification_topic import NotificationTopic, notification_topic
from tests.flows.messages.test_chat_seed_requests import Api
from tests.running import Stack

# Long enough that an acknowledgement is in time on a busy machine.
ACK_SECONDS = "1.5"


@pytest.fixture(name="notifying", scope="module")
def fixture_notifying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("notifying") / "data", MESSAGE__ACK_SECONDS=ACK_SECONDS) as stack:
        yield stack


@pytest.fixture(name="topic")
async def fixture_topic(notifying: Stack) -> AsyncIterator[NotificationTopic]:
    async with notification_topic(notifying) as topic:
        yield topic


@pytest.fixture(name="http")
async def fixture_http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture(name="alice")
def fixture_alice(notifying: Stack, http: aiohttp.ClientSession) -> Api:
    return Api(notifying, http, new_user("alice"))


async def send(sender: Api, recipient: str, content: str = "Hello!", **fields: Any) -> Any:
    status, answer = await sender.ask(
        "POST", "/api/v1/messages", {"recipient_id": recipient, "content": content, **fields}
    )
    assert status == 202
    return answer


async def test_a_disconnected_member_is_notified_within_two_seconds(alice: Api, topic: NotificationTopic) -> None:
    bob = new_user("bob")
    began = time.monotonic()
    sent = await send(alice, bob)
    found = await topic.first_for(bob)
    assert time.monotonic() - began < 2.0
    as_json = MessageToDict(found, preserving_proto_field_name=True)
    # The literal fields of the write-ups.
    assert (as_json["recipient_id"], as_json["sender_name"]) == (bob, alice.user)
    assert (as_json["snippet"], as_json["msg_id"]) == ("Hello!", sent["message_id"])
    assert (as_json["tenant"], as_json["conversation_id"]) == ("default", sent["conversation_id"])
    assert (as_json["reason"], as_json["unread_count"]) == ("no_session", "1")
    assert (found.timestamp, found.idempotency_key) == (sent["timestamp"], f"{sent['message_id']}/{bob}")


async def test_only_a_connected_member_without_an_acknowledgement_is_notified_and_only_when_the_time_is_over(
    notifying: Stack, http: aiohttp.ClientSession, alice: Api, topic: NotificationTopic
) -> None:
    acking, reading, silent = (Api(notifying, http, new_user(name)) for name in ("acking", "reading", "silent"))
    async with (
        raw_socket(notifying, acking.user) as phone,
        raw_socket(notifying, reading.user),
        raw_socket(notifying, silent.user),
    ):
        received, read, lost = [await send(alice, one.user) for one in (acking, reading, silent)]
        for api, sent, action in ((acking, received, "mark_delivered"), (reading, read, "mark_read")):
            fields = {"conversation_id": sent["conversation_id"], "message_id": sent["message_id"]}
            if api is acking:
                assert (await phone.ask(action, **fields))["type"] == "ack"
            else:  # by another device than the one that is connected
                async with raw_socket(notifying, api.user) as other:
                    assert (await other.ask(action, **fields))["type"] == "ack"
        found = await topic.first_for(silent.user)
        assert time.time() * 1000 - lost["timestamp"] >= float(ACK_SECONDS) * 1000
        assert (found.reason, found.msg_id) == ("not_acked", lost["message_id"])
        # Their time would have been over before.
        assert not {acking.user, reading.user} & set(topic.recipients())


async def test_a_notification_shows_the_name_of_the_sender(alice: Api, topic: NotificationTopic) -> None:
    status, _ = await alice.ask("PATCH", "/api/v1/profile", {"display_name": "Alice Liddell"})
    assert status == 200
    bob = new_user("bob")
    await send(alice, bob)
    found = await topic.first_for(bob)
    assert (found.sender_id, found.sender_name) == (alice.user, "Alice Liddell")


async def test_a_muted_group_notifies_of_mentions_only_and_never_the_sender(
    notifying: Stack, http: aiohttp.ClientSession, alice: Api, topic: NotificationTopic
) -> None:
    bob, carol = Api(notifying, http, new_user("bob")), Api(notifying, http, new_user("carol"))
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [bob.user, carol.user]})
    path = f"/api/v1/conversations/{made['conversation_id']}"
    status, _ = await bob.ask("PATCH", f"{path}/membership", {"mute_until_ms": int(time.time() * 1000) + 3_600_000})
    assert status == 200
    await alice.ask("POST", f"{path}/messages", {"content": "one"})
    await alice.ask("POST", f"{path}/messages", {"content": "two", "mentions": [bob.user]})
    recipients = {bob.user, carol.user}
    found = await topic.until(lambda all_: recipients <= {one.recipient_id for one in all_ if one.snippet == "two"})
    of_group = [one for one in found if one.conversation_id == made["conversation_id"]]
    # Carol may be notified of the second message only, which counts the first.
    assert {(one.recipient_id, one.snippet, one.mentioned, one.unread_count) for one in of_group} - {
        (carol.user, "one", False, 1)
    } == {(carol.user, "two", False, 2), (bob.user, "two", True, 2)}
    assert {one.conversation_name for one in of_group} == {"Team"}


async def test_a_kill_loses_no_notification_and_repeats_have_the_same_key(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    # A new direct conversation for each message: the limits of a user are not the subject.
    unlimited = {"MESSAGE__SENDS_PER_SECOND": "0", "MESSAGE__CREATIONS_PER_HOUR": "0"}
    with Stack(tmp_path / "data", MESSAGE__ACK_SECONDS="20", **unlimited) as stack:
        alice, silent = Api(stack, http, new_user("alice")), new_user("silent")
        sent: set[str] = set()
        waiting = ""

        async def keep_sending() -> None:
            for number in range(2_000):
                answer = await send(alice, new_user("absent"), client_msg_id=f"{number}")
                sent.add(answer["message_id"])

        async with raw_socket(stack, silent):
            waiting = (await send(alice, silent))["message_id"]
            sending = asyncio.create_task(keep_sending())
            async with asyncio.timeout(30), notification_topic(stack) as topic:
                await topic.until(lambda all_: len(all_) >= 50)
            stack.kill()
        with pytest.raises(aiohttp.ClientError):
            await sending
        stack.restart()
        async with notification_topic(stack) as topic:
            found = await topic.until(lambda all_: sent | {waiting} <= {one.msg_id for one in all_})
        by_key = {one.idempotency_key: one for one in found}
        assert {(one.msg_id, one.recipient_id) for one in found} == {
            (one.msg_id, one.recipient_id) for one in by_key.values()
        }
        assert [one.recipient_id for one in by_key.values() if one.msg_id == waiting] == [silent]
