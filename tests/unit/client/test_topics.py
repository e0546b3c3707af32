"""The client's subscriptions: asked for, kept over sockets, never going back."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit_client import OwnUpdate, PlauditError, Subscription, Update
from plaudit_client import effects as fx
from tests.unit.client.protocol_driver import WELCOME, ProtocolDriver


def delivered(driver: ProtocolDriver) -> list[tuple[str, int]]:
    updates = [effect.update for effect in driver.take(fx.Deliver)]
    return [(update.topic, update.version) for update in updates if isinstance(update, Update | OwnUpdate)]


def test_topics_are_requested_and_confirmed() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1", "messages/2")
    [frame] = driver.sent()
    assert (frame["type"], frame["topics"]) == ("subscribe", ["messages/1", "messages/2"])
    [confirmed] = driver.receive("subscribed", id=frame["id"], topics=frame["topics"]).take(fx.Confirmed)
    assert confirmed.topics == ("messages/1", "messages/2")


def test_topics_subscribed_before_the_welcome_are_requested_after_it() -> None:
    driver = ProtocolDriver().start().open().subscribe("messages/1")
    assert [frame["type"] for frame in driver.sent()] == ["hello"]
    assert [frame["topics"] for frame in driver.welcome().sent()] == [["messages/1"]]


def test_more_topics_than_a_frame_allows_are_sent_in_several_frames() -> None:
    driver = ProtocolDriver().ready().subscribe(*(f"messages/{n}" for n in range(300)))
    assert [len(frame["topics"]) for frame in driver.sent()] == [128, 128, 44]


def test_all_subscribed_topics_are_requested_again_on_the_next_socket() -> None:
    driver = (
        ProtocolDriver().ready().subscribe("messages/1").subscribe("messages/2", "messages/3").unsubscribe("messages/2")
    )
    driver.lose().again()
    assert driver.sent("subscribe")[-1]["topics"] == ["messages/1", "messages/3"]


def test_a_topic_of_two_subscriptions_is_requested_once_and_unsubscribed_with_the_last() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").subscribe("messages/1")
    assert len(driver.sent("subscribe")) == 1
    assert driver.unsubscribe("messages/1").sent() == []
    assert [frame["topics"] for frame in driver.unsubscribe("messages/1").sent("unsubscribe")] == [["messages/1"]]
    assert driver.unsubscribe("messages/1").sent() == []


def test_a_topic_unsubscribed_and_subscribed_before_the_answer_is_requested_again() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").unsubscribe("messages/1").subscribe("messages/1")
    first, end, second = driver.sent()
    assert [frame["type"] for frame in (first, end, second)] == ["subscribe", "unsubscribe", "subscribe"]
    assert driver.receive("subscribed", id=first["id"], topics=["messages/1"]).take(fx.Confirmed)[0].topics == ()
    assert driver.receive("subscribed", id=second["id"], topics=["messages/1"]).take(fx.Confirmed)[0].topics


def test_only_newer_updates_of_subscribed_topics_are_delivered() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1")
    for topic, version in [("messages/1", 5), ("messages/2", 6), ("messages/1", 4), ("messages/1", 5)]:
        driver.update(topic, version)
    assert delivered(driver) == [("messages/1", 5)]
    driver.lose().again().update("messages/1", 5).update("messages/1", 6)
    assert delivered(driver) == [("messages/1", 6)]


def test_the_state_before_any_reaction_is_sent_once() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").update("messages/1", 0).update("messages/1", 0)
    assert delivered(driver) == [("messages/1", 0)]


def test_no_update_is_delivered_after_the_last_reader_has_ended() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").unsubscribe("messages/1").update("messages/1", 7)
    assert delivered(driver) == []


def test_a_further_reader_gets_the_known_state() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").update("messages/1", 7)
    driver.effects = driver.protocol.known(["messages/1", "messages/2"])
    assert delivered(driver) == [("messages/1", 7)]


def test_own_updates_of_each_target_are_in_order() -> None:
    driver = ProtocolDriver().ready().subscribe("users/alice")
    for target, version in [("posts/1", 5), ("posts/2", 3), ("posts/1", 4), ("posts/1", 6)]:
        driver.receive(
            "own_reaction_update", topic="users/alice", target=target, added="👍", removed="", version=version
        )
    updates = [effect.update for effect in driver.take(fx.Deliver)]
    assert [(update.target, update.version) for update in updates if isinstance(update, OwnUpdate)] == [
        ("posts/1", 5),
        ("posts/2", 3),
        ("posts/1", 6),
    ]


def test_permanently_refused_topics_are_not_requested_again() -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1").subscribe("messages/2")
    first, _ = driver.sent()
    driver.receive("error", id=first["id"], code="RESOURCE_EXHAUSTED", reason="TOO_MANY_TOPICS", message="no")
    [refused] = driver.take(fx.TopicsRefused)
    assert (refused.topics, refused.error.reason) == (("messages/1",), "TOO_MANY_TOPICS")
    assert driver.lose().again().sent("subscribe")[-1]["topics"] == ["messages/2"]


@pytest.mark.parametrize(("code", "reason"), [("UNAVAILABLE", "DRAINING"), ("RESOURCE_EXHAUSTED", "RATE_LIMITED")])
def test_topics_that_are_refused_temporarily_are_requested_again_after_the_retry_delay(code: str, reason: str) -> None:
    driver = ProtocolDriver().ready().subscribe("messages/1")
    [frame] = driver.sent()
    driver.receive("error", id=frame["id"], code=code, reason=reason, message="later", retry_after_ms=700)
    assert driver.take(fx.TopicsRefused) == []
    assert driver.run_until(fx.Send) == pytest.approx(0.7)


def test_ended_subscriptions_are_requested_again_only_where_pushes_may_be_missing() -> None:
    driver = ProtocolDriver().ready().subscribe("conversations/1").subscribe("conversations/2")
    for frame in driver.sent():
        driver.receive("subscribed", id=frame["id"], topics=frame["topics"])
    driver.receive("subscription_ended", topics=["conversations/1"], code="UNAVAILABLE", reason="PUSHES_MISSED")
    ended = ["conversations/2", "conversations/3"]
    driver.receive("subscription_ended", topics=ended, code="NOT_FOUND", reason="CONVERSATION_NOT_FOUND")
    [refused] = driver.take(fx.TopicsRefused)
    assert (refused.topics, refused.error.reason) == (("conversations/2",), "CONVERSATION_NOT_FOUND")
    assert driver.sent() == []
    retry_at = driver.protocol.wakeup()
    assert retry_at is not None
    driver.effects += driver.protocol.tick(retry_at)
    assert [frame["topics"] for frame in driver.sent("subscribe")] == [["conversations/1"]]


class ReleasedTopics:
    """Notes which topics subscriptions have let go."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def __call__(self, topics: Sequence[str]) -> None:
        self.topics += topics


def update(version: int, topic: str = "messages/1") -> Update:
    return Update(topic, version, {})


async def test_a_slow_reader_gets_the_newest_of_each_topic_and_never_an_older_one() -> None:
    reader: Subscription[Update] = Subscription(["messages/1", "messages/2"], 10, ReleasedTopics())
    for offered in [update(1), update(1, "messages/2"), update(5), update(3)]:
        reader.offer(offered)
    assert [(await anext(reader)).version for _ in range(2)] == [5, 1]
    reader.offer(update(4))
    reader.offer(update(6))
    assert (await anext(reader)).version == 6


async def test_iteration_ends_with_the_client_after_the_buffered_updates() -> None:
    reader: Subscription[Update] = Subscription(["messages/1"], 10, ReleasedTopics())
    reader.offer(update(1))
    reader.end(None)
    assert [found.version async for found in reader] == [1]


async def test_a_refused_subscription_raises_and_unsubscribes_only_its_other_topics() -> None:
    released = ReleasedTopics()
    reader: Subscription[Update] = Subscription(["messages/1", "messages/2"], 10, released)
    reader.refuse(["messages/1"], PlauditError("RESOURCE_EXHAUSTED", "TOO_MANY_TOPICS", "no"))
    with pytest.raises(PlauditError, match="TOO_MANY_TOPICS"):
        async with reader:
            pass
    with pytest.raises(PlauditError, match="TOO_MANY_TOPICS"):
        await anext(reader)
    assert released.topics == ["messages/2"]


async def test_entering_waits_for_the_confirmation_and_buffers_earlier_updates() -> None:
    reader: Subscription[Update] = Subscription(["messages/1"], 10, ReleasedTopics())
    entered = asyncio.ensure_future(reader.__aenter__())
    await asyncio.sleep(0)
    reader.offer(update(1))
    await asyncio.sleep(0)
    assert not entered.done()
    reader.confirm(["messages/1"])
    await asyncio.wait_for(entered, 1)
    assert (await asyncio.wait_for(anext(reader), 1)).version == 1


async def test_leaving_the_block_unsubscribes_the_topics_once() -> None:
    released = ReleasedTopics()
    reader: Subscription[Update] = Subscription(["messages/1"], 10, released)
    reader.confirm(["messages/1"])
    async with reader:
        pass
    await reader.aclose()
    assert released.topics == ["messages/1"]


async def test_a_loop_that_breaks_ends_its_topics() -> None:
    released = ReleasedTopics()

    def subscribed() -> Subscription[Update]:
        reader: Subscription[Update] = Subscription(["messages/1"], 10, released)
        reader.offer(update(1))
        return reader

    async for _ in subscribed():
        break
    assert released.topics == ["messages/1"]


async def test_a_reader_that_never_reads_buffers_a_bounded_number_of_updates_and_counts_the_rest() -> None:
    reader: Subscription[OwnUpdate] = Subscription(["users/alice"], 3, ReleasedTopics())
    for n in range(5):
        reader.offer(OwnUpdate("users/alice", f"posts/{n}", 1, frozenset("a"), frozenset()))
    assert reader.dropped == 2
    assert [(await anext(reader)).target for _ in range(3)] == ["posts/2", "posts/3", "posts/4"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20), st.integers(1, 5))
def test_merged_own_updates_have_the_same_final_reactions(taps: list[tuple[str, bool]], read_every: int) -> None:
    truth: set[str] = set()
    shown: set[str] = set()
    pending: OwnUpdate | None = None
    for version, (emoji, on) in enumerate(taps, 1):
        (truth.add if on else truth.discard)(emoji)
        change = OwnUpdate(
            "users/a", "posts/1", version, frozenset([emoji] if on else []), frozenset([] if on else [emoji])
        )
        pending = change if pending is None else change.after(pending)
        if version % read_every == 0 or version == len(taps):
            assert not pending.added & pending.removed
            shown = (shown - pending.removed) | pending.added
            pending = None
    assert shown == truth


def test_own_reactions_are_loaded_after_their_topic_is_subscribed_again() -> None:
    driver = ProtocolDriver().ready().subscribe("users/alice", "messages/1")
    [frame] = driver.sent("subscribe")
    driver.receive("subscribed", id=frame["id"], topics=frame["topics"])
    assert driver.take(fx.Reload) == [], "there is nothing to load yet"
    driver.lose().run_until(fx.Dial)
    driver.open().receive("resumed", id=1, verdict="reset", reload=[], seq="0", **WELCOME)
    [frame] = driver.sent("subscribe")
    assert driver.take(fx.Reload) == []
    driver.receive("subscribed", id=frame["id"], topics=frame["topics"])
    assert len(driver.take(fx.Reload)) == 1


def test_a_pending_load_survives_the_loss_of_the_socket() -> None:
    driver = ProtocolDriver().ready().subscribe("users/alice")
    driver.lose().run_until(fx.Dial)
    driver.open().receive("resumed", id=1, verdict="reset", reload=[], seq="0", **WELCOME)
    driver.lose().run_until(fx.Dial)
    driver.open().receive("resumed", id=1, verdict="complete", reload=[], seq="0", **WELCOME)
    assert len(driver.take(fx.Reload)) == 1
