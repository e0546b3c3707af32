"""Durable topics that wait until every sender delivers them to this node."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from gateway.config import ResumeLimits
from gateway.fanout.confirmations import Wait
from tests.unit.gateway.fanout.test_durable_topics import HERE, OWN, RecordingSubscriber, Topics, marker, own

BOUND = ResumeLimits().confirmation


class Answers:
    """The waits that have ended, by number."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.ended: list[int] = []

    def wait(self, number: int = 0, *names: str) -> Wait | None:
        return self.topics.durable.when_confirmed("acme", names or (OWN,), lambda: self.ended.append(number))


def test_a_topic_is_confirmed_when_every_sender_has_announced_this_node() -> None:
    topics = Topics()
    answers = Answers(topics)
    assert answers.wait() is not None
    topics.deliver(marker(HERE), marker(HERE), marker("another node"))
    topics.deliver(marker("another node"), stream=1)
    assert answers.ended == []
    topics.deliver(marker(HERE), stream=1)
    assert answers.ended == [0]
    assert answers.wait() is None, "it is confirmed for the next subscriber at once"


def test_many_subscribers_of_one_topic_wait_together() -> None:
    topics = Topics()
    answers = Answers(topics)
    for number in range(100):
        topics.durable.subscribe(RecordingSubscriber(), "acme", OWN)
        answers.wait(number)
    topics.confirm()
    assert answers.ended == list(range(100))
    assert topics.directory.changes == [("subscribe", OWN)], "the senders are asked once"


def test_a_wait_for_several_topics_ends_with_the_last() -> None:
    topics = Topics(senders=1)
    topics.durable.subscribe(topics.subscriber, "acme", "users/u1")
    answers = Answers(topics)
    answers.wait(0, OWN, "users/u1")
    topics.deliver(marker(HERE))
    assert answers.ended == []
    topics.deliver(marker(HERE)._replace(topic="users/u1"))
    assert answers.ended == [0]


def test_without_a_sender_a_wait_ends_at_the_timeout_and_a_gap_follows_when_the_topic_is_confirmed() -> None:
    topics = Topics()
    answers = Answers(topics)
    answers.wait()
    topics.deliver(marker(HERE))
    topics.advance(BOUND - 0.1)
    assert answers.ended == []
    topics.advance(0.1)
    assert answers.ended == [0]
    assert topics.subscriber.versions == [], "a reload now would miss what the second sender does not deliver yet"
    topics.advance(60)
    assert topics.subscriber.versions == []
    topics.deliver(marker(HERE), stream=1)
    topics.deliver(marker(HERE), stream=1)
    topics.deliver(own(3), stream=1)
    assert topics.subscriber.versions == [0, 3], "one gap, then pushes"


def test_a_sender_that_ends_is_no_longer_waited_for() -> None:
    topics = Topics()
    answers = Answers(topics)
    answers.wait()
    topics.deliver(marker(HERE))
    topics.advance(0.5)
    assert answers.ended == []
    topics.senders = 1
    topics.advance(0.5)
    assert answers.ended == [0]


def test_a_sender_that_continues_its_sequence_on_another_stream_still_delivers() -> None:
    topics = Topics()
    topics.confirm()
    topics.durable.stream_ended(topics.streams[1])
    answers = Answers(topics)
    answers.wait()
    topics.advance(1)
    assert answers.ended == [], "what it sends until it is back may be missing"
    topics.durable.stream_continues(object(), "sequence-1")
    topics.advance(0.5)
    assert answers.ended == [0]
    assert topics.subscriber.versions == []


def test_a_sender_of_another_sequence_has_to_confirm() -> None:
    topics = Topics()
    topics.confirm()
    topics.durable.stream_ended(topics.streams[1])
    topics.streams[1] = object()
    topics.durable.stream_continues(topics.streams[1], "another sequence")
    answers = Answers(topics)
    answers.wait()
    topics.advance(1)
    assert answers.ended == []
    topics.deliver(marker(HERE), stream=1)
    assert answers.ended == [0]


def test_a_sequence_whose_first_stream_has_not_ended_yet_is_one_sender() -> None:
    topics = Topics()
    topics.deliver(marker(HERE))
    again = object()
    topics.durable.stream_continues(again, "sequence-0")
    topics.durable.deliver(again, marker(HERE))
    assert not topics.durable.is_confirmed("acme", OWN)
    topics.durable.stream_ended(topics.streams[0])
    topics.advance(60)
    assert topics.subscriber.versions == [], "the sequence goes on"


@pytest.mark.parametrize("end", ["cancel", "bound", "confirmation"])
def test_a_wait_that_has_ended_leaves_no_state(end: str) -> None:
    topics = Topics()
    answers = Answers(topics)
    wait = answers.wait(1)
    assert wait is not None
    if end == "cancel":
        topics.durable.cancel(wait)
    if end == "bound":
        topics.advance(BOUND)
    topics.confirm()
    freed = weakref.ref(wait.on_end)
    del wait
    assert freed() is None
    topics.advance(BOUND)
    assert answers.ended == ([] if end == "cancel" else [1])


def test_an_unsubscribed_topic_is_not_waited_for() -> None:
    topics = Topics()
    topics.durable.subscribe(topics.subscriber, "acme", "users/u1")
    answers = Answers(topics)
    wait = answers.wait(0, OWN, "users/u1")
    assert wait is not None
    topics.durable.skip(wait, "acme", [OWN])
    assert answers.ended == []
    topics.durable.skip(wait, "acme", ["users/u1", OWN])
    assert answers.ended == [0]


def test_a_topic_is_not_unsubscribed_while_a_confirmation_may_arrive() -> None:
    topics = Topics()
    topics.durable.unsubscribe(topics.subscriber, "acme", OWN)
    for _ in range(5):
        topics.advance(10)
    assert topics.directory.changes == [("subscribe", OWN)]
    topics.confirm()
    topics.advance(10)
    assert topics.directory.changes == [("subscribe", OWN), ("unsubscribe", OWN)]


def test_a_topic_that_no_sender_confirms_is_unsubscribed_after_the_timeout() -> None:
    topics = Topics()
    Answers(topics).wait()
    topics.durable.unsubscribe(topics.subscriber, "acme", OWN)
    for _ in range(8):
        topics.advance(10)
    assert topics.directory.changes == [("subscribe", OWN), ("unsubscribe", OWN)]
    topics.confirm()
    assert topics.subscriber.versions == []


async def test_a_session_of_a_topic_with_a_gap_is_released_as_incomplete() -> None:
    topics = Topics()
    Answers(topics).wait()
    topics.advance(BOUND)
    for stream in range(2):
        topics.deliver(marker("successor"), stream=stream)
    assert not await topics.durable.wait_until_received_by("acme", OWN, "successor", 5.0)


async def test_a_cancelled_wait_leaves_no_state() -> None:
    topics = Topics()
    task = asyncio.create_task(topics.durable.wait_until_confirmed("acme", [OWN]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    topics.advance(BOUND)
    topics.confirm()
    assert topics.subscriber.versions == [], "nobody was answered without a confirmation"
