"""What a user changes with the Python client, against a real server."""

from __future__ import annotations

import asyncio

import pytest

from plaudit_client import Client, PlauditError, connect
from tests.flows.chat.cutting import cutting_proxy
from tests.flows.chat.test_python_chat import QUICK, chatting, heard, texts, until
from tests.flows.clients import new_user
from tests.running import Stack


async def test_a_group_that_the_user_leaves_or_is_removed_from_leaves_the_list(shared_stack: Stack) -> None:
    alice, bob, carol = new_user("alice"), new_user("bob"), new_user("carol")
    async with (
        chatting(shared_stack, alice) as of_alice,
        chatting(shared_stack, bob) as of_bob,
        chatting(shared_stack, carol) as of_carol,
    ):
        group = await of_alice.create_group("Team", [bob, carol])
        await of_alice.send(group, "hello")
        await until(lambda: of_bob.unread == 1 and of_carol.unread == 1)
        await of_bob.leave(group)
        assert (of_bob.all, of_bob.unread) == ([], 0)
        await of_alice.remove_member(group, carol)
        await until(lambda: of_carol.all == [])
        async with of_carol.open(group) as timeline:  # what it could read it still can
            assert [message.content for message in timeline.messages] == ["hello"]


async def test_admins_change_members_roles_and_the_group(shared_stack: Stack) -> None:
    alice, bob, carol = new_user("alice"), new_user("bob"), new_user("carol")
    async with chatting(shared_stack, alice) as of_alice, chatting(shared_stack, bob) as of_bob:
        group = await of_alice.create_group("Team", [bob])
        await of_alice.add_members(group, [carol])
        known = of_alice.get(group)
        assert known is not None
        assert known.member_count == 3
        with pytest.raises(PlauditError, match="ADMINS_ONLY"):
            await of_bob.rename(group, "Mine")
        await of_alice.set_role(group, bob, "ROLE_ADMIN")
        await of_bob.rename(group, "Ours")
        await of_bob.set_retention(group, 86_400)
        await of_bob.set_role(group, alice, "ROLE_MEMBER", reason="on leave")
        roles = [(each.user_id, each.role) for each in await of_alice.members(group)]
        assert roles == sorted([(alice, "ROLE_MEMBER"), (bob, "ROLE_ADMIN"), (carol, "ROLE_MEMBER")])
        await until(lambda: (known := of_alice.get(group)) is not None and known.name == "Ours")
        await until(lambda: (known := of_alice.get(group)) is not None and known.role == "ROLE_MEMBER")
        assert of_bob.all[0].retention_seconds == 86_400


async def test_members_of_a_channel_hear_of_it_after_a_cut_connection_too(shared_stack: Stack) -> None:
    alice, bob, carol = new_user("alice"), new_user("bob"), new_user("carol")
    with cutting_proxy(shared_stack.http) as proxy:
        async with (
            chatting(shared_stack, alice) as of_alice,
            chatting(shared_stack, bob, proxy.url) as of_bob,
            chatting(shared_stack, carol) as of_carol,
        ):
            group = await of_alice.create_group("News", [bob])
            await of_alice.send(group, "as a group")
            await of_alice.convert_to_channel(group)
            await of_carol.join_channel(group)
            await of_alice.send(group, "one")
            assert await heard(of_bob, 2) == ["as a group", "one"]
            await asyncio.to_thread(proxy.cut)
            for text in ("two", "three"):
                await of_alice.send(group, text)
            assert await heard(of_bob, 2) == ["two", "three"]
            assert await heard(of_carol, 3) == ["one", "two", "three"]
            with pytest.raises(PlauditError, match="ADMINS_ONLY"):
                await of_bob.send(group, "mine")
            await of_alice.remove_member(group, carol)
            await until(lambda: of_carol.all == [])


async def test_a_closed_conversation_leaves_the_list(shared_stack: Stack) -> None:
    alice, bob, mallory = new_user("alice"), new_user("bob"), new_user("mallory")
    url = shared_stack.http_url.replace("http:", "ws:")
    moderator = shared_stack.token(mallory, "default", "moderate")
    async with (
        chatting(shared_stack, alice) as of_alice,
        chatting(shared_stack, bob) as of_bob,
        connect(url, moderator, options=QUICK) as of_moderator,
    ):
        group = await of_alice.create_group("Team", [bob])
        await until(lambda: len(of_bob.all) == 1)
        await of_moderator.call("close_conversation", conversation_id=group, reason="spam", op_id="close-it")
        await until(lambda: of_bob.all == [] and of_alice.all == [])


async def test_how_a_conversation_is_shown_and_what_is_done_with_messages(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    async with chatting(shared_stack, alice) as of_alice, chatting(shared_stack, bob) as of_bob:
        sent = await of_alice.send_to(bob, "hello")
        direct = sent.conversation_id
        await until(lambda: of_bob.unread == 1)
        await of_bob.mark_unread(direct)
        await of_bob.set_draft(direct, "See you")
        shown = of_bob.get(direct)
        assert shown is not None
        assert (shown.marked_unread, shown.draft) == (True, "See you")
        await of_bob.archive(direct)
        assert of_bob.all == []
        await of_bob.archive(direct, False)
        assert [each.conversation_id for each in of_bob.all] == [direct]
        await of_alice.pin_message(direct, sent.message_id)
        assert [each.content for each in await of_bob.pinned_messages(direct)] == ["hello"]
        await of_alice.unpin_message(direct, sent.message_id)
        assert await of_bob.pinned_messages(direct) == []
        reports = [await of_bob.report_message(direct, sent.message_id) for _ in range(2)]
        assert reports[0]
        assert reports[0] == reports[1]


async def test_forwards_are_shown_at_once_and_sent_in_order_once_there_is_a_connection(shared_stack: Stack) -> None:
    alice, bob, carol = new_user("alice"), new_user("bob"), new_user("carol")
    with cutting_proxy(shared_stack.http) as proxy:
        async with chatting(shared_stack, alice, proxy.url) as of_alice, chatting(shared_stack, carol) as of_carol:
            direct = (await of_alice.send_to(bob, "hello")).conversation_id
            other = await of_alice.open_direct(carol)
            async with of_alice.open(direct) as timeline, of_alice.open(other) as to_carol:
                proxy.refuse = True
                await asyncio.to_thread(proxy.cut)
                queued = [
                    of_alice.send(other, "before"),
                    of_alice.forward(other, timeline.messages[0]),
                    of_alice.send(other, "after"),
                ]
                assert [(each.content, each.forward_count) for each in to_carol.pending] == [
                    ("before", 0), ("hello", 1), ("after", 0),
                ]  # fmt: skip
                proxy.refuse = False
                async with asyncio.timeout(40):
                    places = [await each for each in queued]
                assert [place.message_seq for place in places] == sorted(place.message_seq for place in places)
                assert await texts(to_carol, 3) == ["before", "hello", "after"]
                again = of_alice.forward(direct, to_carol.messages[1])
                await again
            assert await heard(of_carol, 3) == ["before", "hello", "after"]
            async with of_alice.open(direct) as timeline:
                assert [each.forward_count for each in timeline.messages] == [0, 2]


async def test_a_client_that_is_logged_out_ends_with_an_error_and_does_not_connect_again(shared_stack: Stack) -> None:
    alice = new_user("alice")
    url, token = shared_stack.http_url.replace("http:", "ws:"), shared_stack.token(alice)
    async with connect(url, token, device="phone") as phone, connect(url, token, device="laptop") as laptop:
        assert await laptop.account.log_out_others("laptop") == 1
        with pytest.raises(PlauditError) as ended:
            await until_error(phone)
        assert (ended.value.code, ended.value.reason) == ("UNAUTHENTICATED", "ENDED")
        await laptop.own("messages/1")


async def until_error(client: Client) -> None:
    async with asyncio.timeout(10):
        async for _ in client.own_updates():
            pass


async def test_blocks_and_preferences(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    url, token = shared_stack.http_url.replace("http:", "ws:"), shared_stack.token(alice)
    async with connect(url, token) as client:
        await client.account.block(bob)
        assert await client.account.blocked() == [bob]
        await client.account.unblock(bob)
        assert await client.account.blocked() == []
        changed = await client.account.set_preferences(phone_lookup=False)
        assert await client.account.preferences() == changed
        assert not changed.get("phone_lookup")
