"""The client's methods on real sockets: calls, reads and subscriptions, and how each ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from plaudit_client import Outcome, PlauditError
from tests.unit.client.connected import connected, nothing_is_left_running
from tests.unit.client.scripted_server import COUNTED, Peer

__all__ = ["nothing_is_left_running"]


async def test_a_toggle_is_answered_with_its_outcome() -> None:
    heard: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        heard.append(await peer.welcome())
        heard.append(await peer.receive("toggle_reaction"))
        await peer.ack(heard[-1], version=18)
        heard.append({"closed": await peer.stay()})

    async with connected(script) as client:
        assert await client.toggle("messages/42", "👍") == Outcome(True, 18, {"👍": 1})
        assert client.user == "alice"
    hello, toggle, end = heard
    assert hello["device"] == "d"
    assert (toggle["target"], toggle["emoji"], len(toggle["op_id"])) == ("messages/42", "👍", 36)
    assert end["closed"] == 1000


async def test_a_call_whose_socket_breaks_before_the_ack_is_sent_again_with_the_same_operation_id() -> None:
    made: dict[str, bool] = {}
    asked: list[str] = []

    async def make_then_drop(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("toggle_reaction")
        asked.append(frame["op_id"])
        made.setdefault(frame["op_id"], len(made) % 2 == 0)
        if len(asked) < 4:
            peer.drop()
        else:
            await peer.ack(frame, on=made[frame["op_id"]])
            await peer.stay()

    async with connected(make_then_drop) as client:
        assert (await client.toggle("messages/42", "👍")).on
    assert len(asked) == 4
    assert len(set(asked)) == 1


async def test_calls_in_flight_survive_repeated_losses_of_the_socket() -> None:
    on = [False]
    first_answers: dict[str, bool] = {}
    left = [7]

    async def flaky(peer: Peer) -> None:
        await peer.welcome(calls_in_flight=8)
        while True:
            frame = await peer.receive("toggle_reaction")
            if frame["op_id"] not in first_answers:
                on[0] = not on[0]
                first_answers[frame["op_id"]] = on[0]
            if left[0] and len(first_answers) % 11 == 0:
                left[0] -= 1
                return peer.drop()
            await peer.ack(frame, on=first_answers[frame["op_id"]])

    async with connected(flaky) as client:
        outcomes = await asyncio.gather(*(client.toggle("messages/42", "👍") for _ in range(100)))
    assert left == [0]
    assert len(first_answers) == 100
    assert sum(outcome.on for outcome in outcomes) == 50


async def test_duplicate_answers_change_nothing() -> None:
    async def stutter(peer: Peer) -> None:
        await peer.welcome()
        for version in (1, 2):
            frame = await peer.receive()
            for _ in range(3):
                await peer.ack(frame, version=version)
        await peer.stay()

    async with connected(stutter) as client:
        assert [(await client.toggle("messages/42", "👍")).version for _ in range(2)] == [1, 2]


async def test_an_unreadable_answer_fails_that_call_only() -> None:
    async def nonsense(peer: Peer) -> None:
        await peer.welcome()
        await peer.send("ack", id=(await peer.receive())["id"], on=True)
        await peer.ack(await peer.receive())
        await peer.stay()

    async with connected(nonsense) as client:
        with pytest.raises(PlauditError, match="BAD_ANSWER"):
            await client.toggle("messages/42", "👍")
        await client.toggle("messages/42", "👍")


async def test_a_call_fails_at_its_deadline_and_a_late_answer_is_ignored() -> None:
    async def late(peer: Peer) -> None:
        await peer.welcome()
        first = await peer.receive("toggle_reaction")
        second = await peer.receive("toggle_reaction")
        await peer.ack(first, version=1)
        await peer.ack(second, version=2)
        await peer.stay()

    async with connected(late) as client:
        with pytest.raises(PlauditError, match="DEADLINE_EXCEEDED OUTCOME_UNKNOWN"):
            await client.toggle("messages/42", "👍", timeout=0.05)
        assert (await client.toggle("messages/42", "👍")).version == 2


async def test_a_cancelled_call_leaves_no_state() -> None:
    async def late(peer: Peer) -> None:
        await peer.welcome(calls_in_flight=1)
        await peer.receive("toggle_reaction")
        await peer.ack(await peer.receive("toggle_reaction"), version=2)
        await peer.stay()

    async with connected(late) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.toggle("messages/42", "👍"), 0.05)
        assert (await client.toggle("messages/42", "👍")).version == 2


async def test_a_call_waits_until_the_rate_limit_allows_it() -> None:
    async def limiting(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(2):
            frame = await peer.receive("toggle_reaction")
            await peer.send(
                "error",
                id=frame["id"],
                code="RESOURCE_EXHAUSTED",
                reason="RATE_LIMITED",
                message="slow down",
                retry_after_ms=50,
            )
        await peer.ack(await peer.receive("toggle_reaction"))
        await peer.stay()

    async with connected(limiting) as client:
        with pytest.raises(PlauditError) as caught:
            await client.toggle("messages/42", "👍")
        assert caught.value.retry_after == 0.05
        began = time.monotonic()
        await client.toggle("messages/42", "👍", wait_for_rate_limit=True)
        assert time.monotonic() - began >= 0.045


async def test_a_read_waits_for_the_rate_limit_by_default() -> None:
    async def limiting(peer: Peer) -> None:
        await peer.welcome()
        limited = {"code": "RESOURCE_EXHAUSTED", "reason": "RATE_LIMITED", "message": "slow", "retry_after_ms": 10}
        await peer.send("error", id=(await peer.receive("get_counts"))["id"], **limited)
        await peer.send("ack", id=(await peer.receive("get_counts"))["id"], counts=[])
        await peer.stay()

    async with connected(limiting) as client:
        assert await client.counts("messages/42") == []


async def test_a_generic_call_without_an_operation_id_is_not_made_twice() -> None:
    async def drop(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("batch_change_reactions")
        peer.drop()

    async with connected(drop) as client:
        with pytest.raises(PlauditError, match="UNAVAILABLE OUTCOME_UNKNOWN"):
            await client.call("batch_change_reactions", changes=[])


async def test_reads_are_decoded_in_pages() -> None:
    async def library(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("get_own_reactions")
        await peer.send(
            "ack", id=frame["id"], own_reactions=[{"target": frame["targets"][0], "emojis": ["👍"], "version": "7"}]
        )
        frame = await peer.receive("get_counts")
        assert (frame["targets"], frame["min_versions"]) == (["posts/1", "posts/2"], ["0", "7"])
        await peer.send("ack", id=frame["id"], counts=[{"target": "posts/2", "version": "7", "reactions": COUNTED}])
        for page in range(3):
            frame = await peer.receive("list_reactors")
            assert frame["page_token"] == (f"after-{page - 1}" if page else "")
            reactors = [
                {"user": f"u{page}{n}", "emoji": "👍", "create_time": "2026-01-02T03:04:05.123456789Z"}
                for n in range(2)
            ]
            await peer.send(
                "ack", id=frame["id"], reactors=reactors, next_page_token=f"after-{page}" if page < 2 else ""
            )
        await peer.stay()

    async with connected(library) as client:
        [own] = await client.own("posts/1")
        assert (own.emojis, own.version) == (("👍",), 7)
        [counts] = await client.counts("posts/1", "posts/2", min_versions={"posts/2": 7})
        assert (counts.version, counts.reactions) == (7, {"👍": 1})
        reactors = [reactor async for reactor in client.reactors("posts/1", "👍", page_size=2)]
        assert [reactor.user for reactor in reactors] == ["u00", "u01", "u10", "u11", "u20", "u21"]
        assert reactors[0].time is not None
        assert reactors[0].time.isoformat() == "2026-01-02T03:04:05.123456+00:00"
