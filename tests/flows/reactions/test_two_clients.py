"""The changes of one user, on another user's screen and on their own second device."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from plaudit_client import Client, PlauditError, connect
from tests.flows.clients import new_target, new_user, raw_socket, until
from tests.running import Stack


@asynccontextmanager
async def clients(stack: Stack, *users: str) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(connect(stack.ws_url, stack.token(user))) for user in users]


async def test_a_toggle_is_on_the_other_device_within_a_second(shared_stack: Stack) -> None:
    message = new_target()
    async with (
        clients(shared_stack, new_user("alice"), new_user("bob")) as (alice, bob),
        bob.subscribe(message) as updates,
    ):
        for emoji, reactions in (("👍", {"👍": 1}), ("❤", {"❤": 1, "👍": 1})):
            tapped = time.monotonic()
            outcome = await alice.toggle(message, emoji)
            seen = await until(updates, lambda update, newest=outcome.version: update.version >= newest)  # type: ignore[misc]
            assert time.monotonic() - tapped < 1
            assert outcome.on
            assert outcome.reactions == seen[-1].reactions == reactions
    # The first update may be the snapshot of a new subscription, which has no names.
    assert seen[-1].recent == (alice.user,)


async def test_a_second_toggle_removes_the_reaction_on_every_device(shared_stack: Stack) -> None:
    message = new_target()
    async with (
        clients(shared_stack, new_user("alice"), new_user("bob")) as (alice, bob),
        bob.subscribe(message) as updates,
    ):
        await alice.toggle(message, "👍")
        outcome = await alice.toggle(message, "👍")
        assert (outcome.on, outcome.reactions) == (False, {})
        assert (await until(updates, lambda update: update.version >= outcome.version))[-1].reactions == {}


async def test_a_later_subscriber_gets_the_current_state_immediately(shared_stack: Stack) -> None:
    message = new_target()
    async with clients(shared_stack, new_user("alice"), new_user("bob")) as (alice, bob):
        outcome = await alice.toggle(message, "🎉")
        async with bob.subscribe(message) as updates:
            seen = await until(updates, lambda update: update.version >= outcome.version)
        assert seen[-1].reactions == {"🎉": 1}


async def test_a_user_may_have_several_emoji_and_all_forms_of_an_emoji_are_one(
    shared_stack: Stack,
) -> None:
    message = new_target()
    async with clients(shared_stack, new_user("alice"), new_user("bob")) as (alice, bob):
        async with bob.subscribe(message) as updates:
            for emoji in ("👍", "❤️", "😆"):
                assert (await alice.toggle(message, emoji)).on
            outcome = await bob.toggle(message, "love")
            assert outcome.reactions == {"❤": 2, "👍": 1, "😆": 1}
            assert next(iter(outcome.reactions)) == "❤"
            seen = await until(updates, lambda update: update.version >= outcome.version)
            assert seen[-1].reactions == outcome.reactions
        [own] = await alice.own(message)
        assert own.emojis == ("👍", "❤", "😆")
        assert [(one.user, one.emoji) async for one in alice.reactors(message, "❤", page_size=1)] == [
            (bob.user, "❤"),
            (alice.user, "❤"),
        ]


@pytest.mark.parametrize("collection", ["posts", "comments"])
async def test_switching_never_shows_zero_or_two_reactions_of_one_user(shared_stack: Stack, collection: str) -> None:
    post = new_target(collection)
    async with (
        clients(shared_stack, new_user("alice"), new_user("bob")) as (alice, bob),
        bob.subscribe(post) as updates,
    ):
        first = await alice.toggle(post, "like")
        await until(updates, lambda update: update.version >= first.version)
        stop = asyncio.Event()

        async def watch_records() -> int:
            looks = 0
            while not stop.is_set():
                [own], [counted] = await asyncio.gather(alice.own(post), bob.counts(post))
                assert len(own.emojis) == 1
                assert sum(counted.reactions.values()) == 1
                looks += 1
            return looks

        watching = asyncio.create_task(watch_records())
        versions = [first.version]
        for emoji in ["love", "haha", "wow", "sad", "angry", "like", "love", "haha", "wow", "sad", "angry"]:
            outcome = await alice.toggle(post, emoji, wait_for_rate_limit=True)
            assert outcome.on
            assert sum(outcome.reactions.values()) == 1
            versions.append(outcome.version)
        seen = await until(updates, lambda update: update.version >= versions[-1])
        stop.set()
        assert await watching > 0
    assert versions == sorted(set(versions))
    assert [update.version for update in seen] == sorted({update.version for update in seen})
    assert all(sum(update.reactions.values()) == 1 for update in seen)
    assert seen[-1].reactions == {"😡": 1}


async def test_only_other_devices_of_the_user_get_own_updates(shared_stack: Stack) -> None:
    post, alice_name = new_target("posts"), new_user("alice")
    async with clients(shared_stack, alice_name, alice_name, new_user("bob")) as (phone, laptop, bob):
        with pytest.raises(PlauditError, match="PERMISSION_DENIED FORBIDDEN_TOPIC"):
            await bob.call("subscribe", topics=[f"users/{alice_name}"])
        async with laptop.own_updates() as changes:
            await phone.toggle(post, "👍")
            [added] = await until(changes, lambda change: change.target == post)
            await phone.toggle(post, "❤")
            [switched] = await until(changes, lambda change: change.target == post)
            last = await phone.clear(post)
            [removed] = await until(changes, lambda change: change.target == post)
    assert (added.added, added.removed) == (frozenset("👍"), frozenset())
    assert (switched.added, switched.removed) == (frozenset("❤"), frozenset("👍"))
    assert (removed.added, removed.removed) == (frozenset(), frozenset("❤"))
    assert added.version < switched.version < removed.version == last.version


async def test_no_push_of_a_topic_arrives_after_it_was_unsubscribed(shared_stack: Stack) -> None:
    quiet, loud = new_target(), new_target()
    async with (
        clients(shared_stack, new_user("alice"), new_user("carol")) as (alice, carol),
        raw_socket(shared_stack, new_user("bob")) as bob,
        carol.subscribe(quiet, loud) as control,
    ):
        assert (await bob.ask("subscribe", topics=[quiet, loud]))["type"] == "subscribed"
        assert (await bob.ask("unsubscribe", topics=[quiet]))["topics"] == [quiet]
        bob.pushes.clear()
        first = await alice.toggle(quiet, "👍")
        await until(control, lambda update: update.topic == quiet and update.version >= first.version)
        second = await alice.toggle(loud, "👍")
        await until(control, lambda update: update.topic == loud and update.version >= second.version)
        async with asyncio.timeout(5):
            while not any(int(push["version"]) >= second.version for push in bob.pushes):
                await bob.ask("ping")  # what was pushed before its pong has come before it
        assert {push["topic"] for push in bob.pushes} == {loud}


async def test_a_login_on_the_same_device_ends_the_earlier_session(shared_stack: Stack) -> None:
    token = shared_stack.token(new_user("alice"))
    async with connect(shared_stack.ws_url, token, device="phone") as earlier:
        updates = earlier.subscribe(new_target())
        async with connect(shared_stack.ws_url, token, device="phone") as later:
            with pytest.raises(PlauditError, match="ABORTED REPLACED"):
                await until(updates, lambda update: update.version < 0, 10)
            assert (await later.toggle(new_target(), "👍")).on


async def test_a_token_of_an_unknown_issuer_is_refused_immediately(shared_stack: Stack) -> None:
    with pytest.raises(PlauditError, match="UNAUTHENTICATED"):
        async with connect(shared_stack.ws_url, shared_stack.token("alice")[:-4] + "AAAA"):
            pass
