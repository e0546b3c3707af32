"""When changes become updates."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fanout_svc.domain import Topic
from fanout_svc.topics.windows import Due, Windows

A: Topic = ("default", "messages/a")
B: Topic = ("default", "messages/b")
WINDOW = 0.5


def tap(windows: Windows, version: int, user: str = "alice", topic: Topic = A) -> None:
    windows.change(topic, (version, (), ()), [(user, "👍", "", version)])


def state(due: Due) -> tuple[int, int, tuple[str, ...]]:
    return due.head[0], due.changes, due.recent()


def test_the_first_change_of_a_quiet_topic_is_sent_immediately() -> None:
    windows = Windows(WINDOW)
    assert windows.next_due() is None
    tap(windows, 7)
    assert windows.next_due() == 0.0
    (due,) = windows.due(10.0, 10)
    assert (due.topic, *state(due)) == (A, 7, 1, ("alice",))


def test_later_changes_are_sent_in_one_update_when_the_window_ends() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    windows.due(10.0, 10)
    tap(windows, 2, "bob")
    tap(windows, 3, "carol")
    assert windows.due(10.49, 10) == []
    assert windows.next_due() == 10.5
    (due,) = windows.due(10.5, 10)
    assert state(due) == (3, 2, ("carol", "bob"))


def test_a_topic_is_quiet_again_after_a_window_without_changes() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    windows.due(10.0, 10)
    assert windows.due(10.5, 10) == []
    assert len(windows) == 0
    tap(windows, 2)
    assert [due.head[0] for due in windows.due(10.51, 10)] == [2]


def test_a_storm_of_101_changes_is_one_and_100_are_none() -> None:
    for changes, storm in ((100, False), (101, True)):
        windows = Windows(WINDOW, storm_above=100)
        for n in range(changes):
            tap(windows, n + 1, f"u{n}")
        (due,) = windows.due(0.0, 10)
        assert windows.is_storm(due) is storm
        assert bool(due.recent()) is not storm


def test_recent_users_are_distinct_latest_first_at_most_5_and_have_a_reaction() -> None:
    windows = Windows(WINDOW)
    for version, user in enumerate(["a", "b", "c", "d", "e", "f", "a"], 1):
        tap(windows, version, user)
    took_back = [("d", "", "👍", 8), ("x", "", "👍", 9)]  # the second one an old reaction
    windows.change(A, (10, (), ()), [*took_back, ("b", "👍", "❤", 10)])
    (due,) = windows.due(0.0, 10)
    assert due.recent() == ("b", "a", "f", "e", "c")


def test_a_user_who_switched_is_among_the_recent_ones() -> None:
    windows = Windows(WINDOW)
    windows.change(A, (1, (), ()), [("zoe", "👍", "❤", 1)])
    assert windows.due(0.0, 10)[0].recent() == ("zoe",)


def test_an_update_has_the_newest_state() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    windows.change(A, (3, ("👍",), (2,)), [("bob", "👍", "", 2), ("carol", "👍", "", 3)])
    (due,) = windows.due(0.0, 10)
    assert (due.head, due.changes) == ((3, ("👍",), (2,)), 3)


def test_windows_of_topics_that_began_together_end_at_different_times() -> None:
    windows = Windows(WINDOW)
    topics = [("default", f"messages/{n}") for n in range(5)]
    for topic in topics:
        tap(windows, 1, topic=topic)
    for n in range(5):  # two at a time, 10 ms apart
        windows.due(n * 0.01, 2)
    for topic in topics:
        tap(windows, 2, topic=topic)
    assert [due.topic for due in windows.due(0.5, 10)] == topics[:2]
    assert [due.topic for due in windows.due(0.51, 10)] == topics[2:4]
    assert [due.topic for due in windows.due(0.52, 10)] == topics[4:]


@given(st.integers(0, 100_000))
def test_the_last_change_is_sent_and_no_topic_too_often(seed: int) -> None:
    """Random changes on a clock of 10 ms ticks; then silence."""
    rng = random.Random(seed)
    windows = Windows(50, storm_above=3)
    last = {A: 0, B: 0}
    out: dict[Topic, list[tuple[int, int]]] = {A: [], B: []}
    for now in range(400):
        if now < 250 and rng.random() < 0.3:
            topic = rng.choice([A, B])
            last[topic] += 1
            tap(windows, last[topic], rng.choice("abc"), topic)
        for due in windows.due(now, 1):
            out[due.topic].append((now, due.head[0]))
    assert len(windows) == 0
    for topic, sent in out.items():
        assert not last[topic] or sent[-1][1] == last[topic]
        assert [version for _, version in sent] == sorted(version for _, version in sent)
        assert all(later - earlier >= 50 for (earlier, _), (later, _) in pairwise(sent))
