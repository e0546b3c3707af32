"""What waits for one node."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fanout_svc.adapters.grpc_nodes import queued_delivery
from fanout_svc.conversation_pushes import ItemPush, UnkeptPush
from fanout_svc.domain import OwnUpdate, own_update
from fanout_svc.send_queue import QueuedDelivery, SendQueue

POST = ("default", "posts/1")


def delivery(key: str, version: int, state: bool = True) -> QueuedDelivery[str, str]:
    return QueuedDelivery(key, version, f"{key}{version}", state)


def taken(queue: SendQueue[str, str], limit: int = 100) -> list[str]:
    return [one.item for one in queue.take(limit)]


def test_a_newer_delivery_replaces_a_waiting_one_at_its_position() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    assert not queue.put(delivery("a", 1))
    assert not queue.put(delivery("b", 1))
    assert queue.put(delivery("a", 2))
    assert taken(queue) == ["a2", "b1"]


def test_if_the_order_matters_the_newer_delivery_is_queued_last() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    queue.put(delivery("a", 1))
    queue.put(delivery("b", 2))
    queue.put(delivery("a", 3, state=False))
    assert taken(queue) == ["b2", "a3"]


def test_an_older_or_equal_delivery_is_dropped() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    queue.put(delivery("a", 5))
    assert queue.put(delivery("a", 4))
    assert queue.put(QueuedDelivery("a", 5, "the same again"))
    assert taken(queue) == ["a5"]


def test_a_batch_is_bounded_in_bytes_and_has_at_least_one_delivery() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    for key, size in (("a", 30), ("b", 60), ("c", 20), ("d", 500)):
        queue.put(QueuedDelivery(key, 1, key, state=False, size=size))
    assert [[one.item for one in queue.take(100, 100)] for _ in range(3)] == [["a", "b"], ["c"], ["d"]]


def test_unanswered_deliveries_are_sent_first_unless_a_newer_one_is_queued() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    for key in "abc":
        queue.put(delivery(key, 1))
    lost = queue.take(2)
    queue.put(delivery("b", 2))
    queue.put(delivery("d", 1))
    queue.requeue(lost)
    assert taken(queue) == ["a1", "b2", "c1", "d1"]


def test_a_newer_delivery_keeps_its_position_after_a_requeue() -> None:
    queue: SendQueue[str, str] = SendQueue(10)
    for key, version in (("a", 1), ("b", 2)):
        queue.put(delivery(key, version, state=False))
    lost = queue.take(2)
    queue.put(delivery("a", 3, state=False))
    queue.requeue(lost)
    assert taken(queue) == ["b2", "a3"]


def test_above_the_limit_the_oldest_is_dropped_and_lost_states_can_be_requested_again() -> None:
    queue: SendQueue[str, str] = SendQueue(2)
    queue.put(delivery("own", 1, state=False))
    for key in "abcd":
        queue.put(delivery(key, 1))
    assert queue.dropped == 2
    assert queue.take_dropped() == []  # there is no capacity yet
    assert taken(queue) == ["c1", "d1"]
    queue.put(delivery("a", 2))
    assert queue.take_dropped() == ["b"]
    assert queue.dropped == 0


@given(st.integers(0, 100_000))
def test_a_receiver_ends_with_the_newest_of_every_key_despite_broken_streams(seed: int) -> None:
    rng = random.Random(seed)
    queue: SendQueue[str, str] = SendQueue(100)
    newest: dict[str, int] = {}
    got: dict[str, int] = {}

    def receive(entries: list[QueuedDelivery[str, str]]) -> None:
        for one in entries:
            got[one.key] = max(got.get(one.key, 0), one.version)

    for _ in range(60):
        key = rng.choice("abcd")
        newest[key] = newest.get(key, 0) + 1
        queue.put(delivery(key, newest[key], rng.random() < 0.5))
        if rng.random() < 0.4:
            batch = queue.take(rng.randint(1, 3))
            if rng.random() < 0.5:
                queue.put(delivery(key, newest[key]))
                queue.requeue(batch)
            else:
                receive(batch)
    receive(queue.take(100))
    assert got == newest
    assert len(queue) == 0


def test_a_switch_is_never_replaced_by_an_update_of_one_of_its_emoji() -> None:
    switch = own_update(POST, ("alice", "❤", "👍", 7))
    off = own_update(POST, ("alice", "", "❤", 8))
    on = own_update(POST, ("alice", "❤", "", 9))
    assert switch == OwnUpdate(("default", "users/alice"), "posts/1", "❤", "👍", 7)
    assert off.key == on.key
    assert switch.key != off.key


def test_dropping_a_delivery_that_is_no_state_is_a_gap_that_cannot_be_requested() -> None:
    queue: SendQueue[str, str] = SendQueue(2)
    queue.put(QueuedDelivery("counts", 1, "state"))
    queue.put(QueuedDelivery("alice 1", 1, "own", state=False))
    queue.put(QueuedDelivery("alice 2", 2, "own", state=False))
    assert (queue.gaps, queue.dropped) == (0, 1)
    queue.put(QueuedDelivery("alice 3", 3, "own", state=False))
    assert (queue.gaps, queue.dropped) == (1, 1)


def test_pushes_of_different_types_do_not_replace_each_other() -> None:
    queue: SendQueue[Any, Any] = SendQueue(10)
    message = ItemPush("acme", ["users/alice"], "new_message", b"1", "conv_1", 9)
    receipt = UnkeptPush("acme", ["users/alice"], b"2", "conv_1", 1_000, message.key, "receipt")
    queue.put(queued_delivery(message))
    queue.put(queued_delivery(receipt))
    assert [one.version for one in queue.take(10)] == [9, 1_000]
