"""What waits for one node."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fanout_svc.domain import OwnUpdate, own_update
from fanout_svc.outbox import Entry, Outbox

POST = ("default", "posts/1")


def entry(key: str, version: int, state: bool = True) -> Entry[str, str]:
    return Entry(key, version, f"{key}{version}", state)


def taken(outbox: Outbox[str, str], limit: int = 100) -> list[str]:
    return [one.item for one in outbox.take(limit)]


def test_a_newer_delivery_overtakes_a_waiting_one_in_its_place() -> None:
    outbox: Outbox[str, str] = Outbox(10)
    assert not outbox.put(entry("a", 1))
    assert not outbox.put(entry("b", 1))
    assert outbox.put(entry("a", 2))
    assert taken(outbox) == ["a2", "b1"]


def test_where_order_tells_something_the_newer_one_waits_at_the_end() -> None:
    outbox: Outbox[str, str] = Outbox(10)
    outbox.put(entry("a", 1))
    outbox.put(entry("b", 2))
    outbox.put(entry("a", 3, state=False))
    assert taken(outbox) == ["b2", "a3"]


def test_an_older_or_equal_delivery_is_dropped() -> None:
    outbox: Outbox[str, str] = Outbox(10)
    outbox.put(entry("a", 5))
    assert outbox.put(entry("a", 4))
    assert outbox.put(Entry("a", 5, "the same again"))
    assert taken(outbox) == ["a5"]


def test_what_was_not_received_goes_first_unless_a_newer_one_waits() -> None:
    outbox: Outbox[str, str] = Outbox(10)
    for key in "abc":
        outbox.put(entry(key, 1))
    lost = outbox.take(2)
    outbox.put(entry("b", 2))
    outbox.put(entry("d", 1))
    outbox.give_back(lost)
    assert taken(outbox) == ["a1", "b2", "c1", "d1"]


def test_what_was_not_received_does_not_bring_a_newer_one_before_its_time() -> None:
    outbox: Outbox[str, str] = Outbox(10)
    for key, version in (("a", 1), ("b", 2)):
        outbox.put(entry(key, version, state=False))
    lost = outbox.take(2)
    outbox.put(entry("a", 3, state=False))
    outbox.give_back(lost)
    assert taken(outbox) == ["b2", "a3"]


def test_above_the_limit_the_oldest_goes_and_lost_states_can_be_asked_for_again() -> None:
    outbox: Outbox[str, str] = Outbox(2)
    outbox.put(entry("own", 1, state=False))
    for key in "abcd":
        outbox.put(entry(key, 1))
    assert outbox.lost == 2
    assert outbox.take_lost() == []  # there is no room yet
    assert taken(outbox) == ["c1", "d1"]
    outbox.put(entry("a", 2))
    assert outbox.take_lost() == ["b"]
    assert outbox.lost == 0


@given(st.integers(0, 100_000))
def test_a_receiver_ends_with_the_newest_of_every_key_whatever_breaks(seed: int) -> None:
    rng = random.Random(seed)
    outbox: Outbox[str, str] = Outbox(100)
    newest: dict[str, int] = {}
    got: dict[str, int] = {}

    def receive(entries: list[Entry[str, str]]) -> None:
        for one in entries:
            got[one.key] = max(got.get(one.key, 0), one.version)

    for _ in range(60):
        key = rng.choice("abcd")
        newest[key] = newest.get(key, 0) + 1
        outbox.put(entry(key, newest[key], rng.random() < 0.5))
        if rng.random() < 0.4:
            batch = outbox.take(rng.randint(1, 3))
            if rng.random() < 0.5:
                outbox.put(entry(key, newest[key]))
                outbox.give_back(batch)
            else:
                receive(batch)
    receive(outbox.take(100))
    assert got == newest
    assert len(outbox) == 0


def test_a_switch_is_never_replaced_by_a_word_on_one_of_its_emoji() -> None:
    switch = own_update(POST, ("alice", "❤", "👍", 7))
    off = own_update(POST, ("alice", "", "❤", 8))
    on = own_update(POST, ("alice", "❤", "", 9))
    assert switch == OwnUpdate(("default", "users/alice"), "posts/1", "❤", "👍", 7)
    assert off.key == on.key
    assert switch.key != off.key


def test_dropping_what_is_no_state_is_a_gap_that_nobody_can_ask_for() -> None:
    outbox: Outbox[str, str] = Outbox(2)
    outbox.put(Entry("counts", 1, "state"))
    outbox.put(Entry("alice 1", 1, "own", state=False))
    outbox.put(Entry("alice 2", 2, "own", state=False))
    assert (outbox.gaps, outbox.lost) == (0, 1)
    outbox.put(Entry("alice 3", 3, "own", state=False))
    assert (outbox.gaps, outbox.lost) == (1, 1)
