"""When subscriptions of conversations are granted, and when they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from gateway.errors import PushesMissed
from gateway.fanout.conversation_topics import ConversationTopics
from gateway.fanout.delivery import Delivery
from kit.access.domain import UserAccess
from kit.access.errors import ConversationNotFound, MessageNotFound
from kit.errors import Problem, Unavailable
from tests.unit.kit.access.conversations import TEAM, Source, target

TOPIC = f"conversations/{TEAM}"


class Durable:
    """Confirms every topic at once, after `meanwhile` has run."""

    def __init__(self) -> None:
        self.followed: dict[str, Any] = {}
        self.meanwhile: list[Delivery] = []

    def subscribe(self, subscriber: Any, tenant: str, name: str) -> None:
        self.followed[name] = subscriber

    def unsubscribe(self, subscriber: Any, tenant: str, name: str) -> None:
        del self.followed[name]

    async def wait_until_confirmed(self, tenant: str, names: Iterable[str]) -> None:
        for delivery in self.meanwhile:
            self.followed[TOPIC].deliver(delivery)


class Subscriber:
    """Records the subscriptions that ended."""

    def __init__(self, topics: ConversationTopics) -> None:
        self._topics = topics
        self.ended: list[tuple[list[str], type[Problem]]] = []

    def end_subscriptions(self, topics: Sequence[str], problem: Problem) -> None:
        self.ended.append((list(topics), type(problem)))
        for topic in topics:
            self._topics.remove(self, "default", topic)


class Rig:
    def __init__(self) -> None:
        self.source, self.durable = Source(), Durable()
        self.topics = ConversationTopics(self.source, self.durable)  # type: ignore[arg-type]
        self.subscriber = Subscriber(self.topics)

    async def subscribe(self, *names: str, user: str = "alice") -> list[type[Problem]]:
        async with self.topics.admission(self.subscriber, "default", user, names) as problems:
            for name in names if not problems else ():
                self.topics.add(self.subscriber, "default", name)
        return [type(problem) for problem in problems.values()]

    def remove(self, user: str, seq: int) -> None:
        self.durable.followed[TOPIC].deliver(Delivery("default", TOPIC, version=seq, removed_users=(user,)))


@pytest.fixture(name="rig")
async def fixture_rig() -> Rig:
    return Rig()


async def test_a_removal_ends_the_subscriptions_of_that_user_unless_they_are_from_later(rig: Rig) -> None:
    assert await rig.subscribe(TOPIC, target(2)) == []
    rig.remove("bob", 11)
    rig.remove("alice", 10)  # the access that was granted is as of item 10
    assert rig.subscriber.ended == []
    rig.remove("alice", 11)
    assert rig.subscriber.ended == [(sorted((TOPIC, target(2))), ConversationNotFound)]
    assert (len(rig.topics), rig.durable.followed) == (0, {})


async def test_a_removal_before_the_answer_of_late_tables_refuses(rig: Rig) -> None:
    rig.durable.meanwhile = [Delivery("default", TOPIC, version=11, removed_users=("alice",))]
    assert await rig.subscribe(TOPIC) == [ConversationNotFound]
    rig.durable.meanwhile = []
    rig.source.last_seq = 12
    assert await rig.subscribe(TOPIC) == []


async def test_all_subscriptions_end_where_pushes_may_be_missing(rig: Rig) -> None:
    await rig.subscribe(TOPIC)
    rig.durable.followed[TOPIC].mark_gap()
    assert rig.subscriber.ended == [([TOPIC], PushesMissed)]
    assert await rig.subscribe(TOPIC) == []


async def test_strangers_and_what_cannot_be_found_out_are_refused_and_nothing_is_left(rig: Rig) -> None:
    assert await rig.subscribe(TOPIC, user="eve") == [ConversationNotFound]
    assert await rig.subscribe("messages/msg_forged") == [MessageNotFound]
    rig.source.is_down = True
    assert await rig.subscribe(TOPIC) == [Unavailable]
    assert (len(rig.topics), rig.durable.followed) == (0, {})


async def test_a_member_does_not_see_messages_from_before_it_joined(rig: Rig) -> None:
    rig.source.users["alice"] = UserAccess(True, ((4, 0),), 10)
    await rig.subscribe(TOPIC)
    assert rig.topics.blind("default", TOPIC, target(3)) == {rig.subscriber}
    assert not rig.topics.blind("default", TOPIC, target(4))
