"""The client on real sockets, against a server that misbehaves on purpose."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engines.server import free_port
from plaudit_client import Client, Options, Outcome, PlauditError, connect
from tests.unit.client.rogue import COUNTED, Peer, Script, refusing, rogue

FAST = Options(backoff_floor=0.01, backoff_ceiling=0.05, dial_timeout=1)


@asynccontextmanager
async def connected(*scripts: Script) -> AsyncIterator[Client]:
    async with (
        rogue(*scripts) as server,
        asyncio.timeout(20),
        connect(server.url, "a-token", device="d", options=FAST) as client,
    ):
        yield client


async def answer_everything(peer: Peer) -> None:
    await peer.welcome()
    version = 0
    while True:
        version += 1
        await peer.ack(await peer.receive(), version=version)


@pytest.fixture(autouse=True)
async def _nothing_is_left_running() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
    gc.collect()  # "was never awaited" and unclosed transports are warnings, hence errors


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


async def test_the_token_goes_in_a_header_and_never_in_the_url() -> None:
    async with rogue(answer_everything) as server, connect(server.url, "a-token"):
        [request] = server.requests
    assert request.headers["Authorization"] == "Bearer a-token"
    assert "a-token" not in str(request.url)


async def test_a_token_that_must_be_fresh_is_asked_for_before_every_socket() -> None:
    async def drop(peer: Peer) -> None:
        await peer.welcome()
        peer.drop()

    tokens = iter(["one", "two", "three"])
    async with rogue(drop, answer_everything) as server:
        async with connect(server.url, lambda: next(tokens), options=FAST) as client:
            await client.toggle("messages/42", "👍")
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


async def test_a_token_that_cannot_be_had_ends_the_client() -> None:
    def token() -> str:
        raise RuntimeError("the vault is closed")

    async with rogue(answer_everything) as server:
        with pytest.raises(PlauditError, match="CLIENT_FAILED"):
            async with connect(server.url, token):
                pass


async def test_a_call_whose_socket_dies_before_the_ack_is_asked_again_with_the_same_operation_id() -> None:
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


async def test_many_calls_in_flight_survive_sockets_that_keep_dying() -> None:
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


@pytest.mark.parametrize("garbage", ["{", '{"type":"ack","id":null}', "[" * 50_000])
async def test_garbage_costs_one_socket_and_no_call(garbage: str) -> None:
    async def talk_garbage(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive()
        await peer.send_text(garbage)
        assert await peer.stay() == 1007

    async with connected(talk_garbage, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_a_binary_message_costs_one_socket_and_no_call() -> None:
    async def talk_bytes(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive()
        await peer.send_bytes(b"\x08\x01")
        assert await peer.stay() == 1003

    async with connected(talk_bytes, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_an_answer_that_makes_no_sense_fails_that_call_alone() -> None:
    async def nonsense(peer: Peer) -> None:
        await peer.welcome()
        await peer.send("ack", id=(await peer.receive())["id"], on=True)
        await peer.ack(await peer.receive())
        await peer.stay()

    async with connected(nonsense) as client:
        with pytest.raises(PlauditError, match="BAD_ANSWER"):
            await client.toggle("messages/42", "👍")
        await client.toggle("messages/42", "👍")


async def test_goaway_moves_the_session_at_the_time_it_names_without_losing_a_call() -> None:
    times: list[float] = []

    async def leave(peer: Peer) -> None:
        await peer.welcome()
        await peer.send("goaway", reconnect_after_ms=150, deadline_ms=5000)
        times.append(time.monotonic())
        await peer.receive()
        assert await peer.stay() == 4000

    async def arrive(peer: Peer) -> None:
        times.append(time.monotonic())
        await answer_everything(peer)

    async with connected(leave, arrive) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1
    assert 0.14 <= times[1] - times[0] < 2


async def test_a_reader_sees_the_newest_state_after_a_reconnection_and_versions_never_go_back() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        for version in (3, 2, 3, 5):
            await peer.send("reaction_update", topic="messages/42", version=str(version), reactions=COUNTED)
        assert (await peer.receive())["type"] == "get_counts"  # the client has read this far
        peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        assert frame["topics"] == ["messages/42"]
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        for version in (4, 5, 9):
            await peer.send("reaction_update", topic="messages/42", version=str(version), reactions=[])
        await peer.send("ack", id=(await peer.receive("get_counts"))["id"], counts=[])
        await peer.stay()

    async with connected(first, second) as client, client.subscribe("messages/42") as updates:
        versions = [(await anext(updates)).version]
        while versions[-1] < 5:
            versions.append((await anext(updates)).version)
        await client.counts("messages/42")
        versions.append((await anext(updates)).version)
    assert versions[-2:] == [5, 9]
    assert versions == sorted(set(versions))


async def test_the_end_of_a_subscription_is_sent_to_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        assert (await peer.receive("unsubscribe"))["topics"] == ["messages/42"]
        await peer.ack(await peer.receive("toggle_reaction"))
        await peer.stay()

    async with connected(script) as client:
        async with client.subscribe("messages/42"):
            pass
        await client.toggle("messages/42", "👍")


async def test_refused_topics_end_the_reader_with_the_servers_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        await peer.send("error", id=frame["id"], code="RESOURCE_EXHAUSTED", reason="TOO_MANY_TOPICS", message="no")
        await peer.stay()

    async with connected(script) as client:
        with pytest.raises(PlauditError, match="TOO_MANY_TOPICS"):
            async for _ in client.subscribe("messages/42"):
                pass


@pytest.mark.parametrize(("code", "reason"), [(4500, "BAD_TOKEN"), (4504, "REPLACED"), (4777, "CLOSED_4777")])
async def test_a_terminal_close_ends_calls_readers_and_the_client(code: int, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("subscribe")
        await peer.receive("toggle_reaction")
        await peer.close(code)

    async with rogue(script) as server:
        async with connect(server.url, "t", options=FAST) as client:
            updates = client.subscribe("messages/42")
            for work in (client.toggle("messages/42", "👍"), anext(updates), client.toggle("messages/42", "👍")):
                with pytest.raises(PlauditError, match=reason):
                    await asyncio.wait_for(work, 5)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "reason"), [(401, "BAD_TOKEN"), (403, "FORBIDDEN"), (400, "BAD_HANDSHAKE")])
async def test_a_refused_handshake_fails_at_once(status: int, reason: str) -> None:
    async with rogue(refusing(status)) as server:
        with pytest.raises(PlauditError, match=reason):
            async with connect(server.url, "t"):
                pass
        assert len(server.requests) == 1


async def test_a_busy_server_is_tried_again() -> None:
    async with connected(refusing(503), refusing(429), answer_everything) as client:
        assert client.session == "s1"


async def test_a_server_that_does_not_listen_is_reported_after_the_timeout() -> None:
    port = free_port()
    with pytest.raises(PlauditError) as refused:
        async with connect(f"ws://127.0.0.1:{port}", "t", timeout=0.2, options=FAST):
            pass
    assert str(refused.value) == (
        f"UNAVAILABLE NOT_CONNECTED: no session in 0.2 s: 127.0.0.1:{port}: connection refused"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "127.0.0.1:8080", "ws://"])
async def test_a_url_that_is_no_websocket_is_refused(url: str) -> None:
    with pytest.raises(PlauditError, match="INVALID_URL"):
        async with connect(url, "t"):
            pass


async def test_a_call_gives_up_at_its_deadline_and_a_late_answer_is_ignored() -> None:
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


async def test_a_read_waits_out_the_rate_limit_unasked() -> None:
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


async def test_a_silent_server_is_left_and_the_call_made_elsewhere() -> None:
    async def deaf(peer: Peer) -> None:
        hello = await peer.receive("hello")
        await peer.send("welcome", id=hello["id"], session="s", user="alice", heartbeat_seconds=0.05)
        await peer.stay()

    async with connected(deaf, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_reads_are_turned_into_values_page_by_page() -> None:
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


async def test_own_updates_come_from_the_topic_of_the_user() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        frame = await peer.receive("subscribe")
        assert frame["topics"] == ["users/alice"]
        await peer.send("subscribed", id=frame["id"], topics=frame["topics"])
        await peer.send(
            "own_reaction_update", topic="users/alice", target="posts/1", added="❤", removed="👍", version="5"
        )
        await peer.stay()

    async with connected(script) as client, client.own_updates() as updates:
        update = await anext(updates)
    assert (update.target, update.added, update.removed) == ("posts/1", frozenset("❤"), frozenset("👍"))


async def test_closing_ends_calls_and_readers_within_a_second_even_if_the_server_hangs() -> None:
    async def hang(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("subscribe")
        await peer.receive("toggle_reaction")
        hanging.set()
        await over.wait()

    hanging, over = asyncio.Event(), asyncio.Event()
    async with rogue(hang) as server:
        async with connect(server.url, "t") as client:
            updates = client.subscribe("messages/42")
            call = asyncio.create_task(client.toggle("messages/42", "👍"))
            await asyncio.wait_for(hanging.wait(), 5)
            began = time.monotonic()
        with pytest.raises(PlauditError, match="CLOSED"):
            await call
        assert [update async for update in updates] == []
        assert time.monotonic() - began < 3
        over.set()


async def test_an_error_inside_the_block_is_passed_on_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with connected(answer_everything):
            raise ZeroDivisionError
