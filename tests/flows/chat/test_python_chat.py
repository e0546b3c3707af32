"""Two Python clients chat over a real server, whose sockets are cut and which is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from plaudit_client import Conversations, Options, PlauditError, Timeline, connect
from tests.flows.chat.cutting import cutting_proxy
from tests.flows.clients import new_user
from tests.running import Stack

QUICK = Options(backoff_ceiling=0.2, call_timeout=5)


@asynccontextmanager
async def chatting(
    stack: Stack, user: str, url: str = "", storage: dict[str, str] | None = None
) -> AsyncIterator[Conversations]:
    url = (url or stack.http_url).replace("http:", "ws:")
    async with (
        connect(url, stack.token(user), options=QUICK) as client,
        client.conversations(storage) as conversations,
    ):
        yield conversations


async def texts(timeline: Timeline, count: int) -> list[str]:
    """What the timeline has once there are so many messages."""
    async with asyncio.timeout(40):
        if len(timeline.messages) < count:
            async for _ in timeline.changes():
                if len(timeline.messages) >= count:
                    break
    return [message.content for message in timeline.messages]


async def heard(conversations: Conversations, count: int) -> list[str]:
    """The next messages of others."""
    found: list[str] = []
    async with asyncio.timeout(40):
        async for message in conversations.messages():
            found.append(message.content)
            if len(found) == count:
                break
    return found


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Waits for it; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # the list has no event of its own
            await asyncio.sleep(0.02)


async def test_two_clients_chat(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    async with chatting(shared_stack, alice) as of_alice, chatting(shared_stack, bob) as of_bob:
        conversation_id = await of_alice.open_direct(bob)
        answers = [of_alice.send(conversation_id, text) for text in ("one", "two", "three")]
        first = await answers[0]
        assert await heard(of_bob, 3) == ["one", "two", "three"]
        await until(lambda: of_bob.unread == 3)
        async with of_bob.open(conversation_id) as timeline:
            assert await texts(timeline, 3) == ["one", "two", "three"]
            await of_alice.edit(conversation_id, first.message_id, "ONE")
            async with asyncio.timeout(10):
                async for _ in timeline.changes():
                    if timeline.messages[0].content == "ONE":
                        break
        await of_bob.mark_read(conversation_id)
        assert of_bob.unread == 0
        with pytest.raises(PlauditError, match="NOT_THE_SENDER"):
            await of_bob.edit(conversation_id, first.message_id, "mine")


async def test_cut_connections_lose_double_and_reorder_nothing(shared_stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    with cutting_proxy(shared_stack.http) as proxy:
        async with chatting(shared_stack, alice, proxy.url) as of_alice, chatting(shared_stack, bob) as of_bob:
            conversation_id = await of_alice.open_direct(bob)
            async with of_alice.open(conversation_id) as timeline:
                sent = []
                for turn in range(5):
                    sent += [of_alice.send(conversation_id, f"alice {turn} {n}") for n in range(10)]
                    await asyncio.to_thread(proxy.cut)
                    sent += [of_bob.send(conversation_id, f"bob {turn} {n}") for n in range(10)]
                async with asyncio.timeout(40):
                    places = [await each for each in sent]
                assert len({place.message_seq for place in places}) == 100
                shown = await texts(timeline, 100)
                for name in ("alice", "bob"):
                    own = [f"{name} {turn} {n}" for turn in range(5) for n in range(10)]
                    assert [text for text in shown if text.startswith(name)] == own
                assert await heard(of_alice, 50) == [text for text in shown if text.startswith("bob")]
                assert timeline.pending == []


async def test_a_killed_server_and_a_killed_program_lose_double_and_reorder_nothing(stack: Stack) -> None:
    storage: dict[str, str] = {}
    written = [f"{number}" for number in range(100)]
    async with chatting(stack, "bob") as of_bob:
        async with chatting(stack, "alice", storage=storage) as of_alice:
            for text in written:
                of_alice.send_to("bob", text)
            assert await heard(of_bob, 20) == written[:20]
            stack.kill()
        left = len(storage)
        assert 0 < left <= 80
        stack.restart()
        async with chatting(stack, "alice", storage=storage):
            assert await heard(of_bob, 80) == written[20:]
        assert of_bob.all[0].last_message_seq == 101
