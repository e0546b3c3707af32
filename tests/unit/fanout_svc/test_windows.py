"""When changes become updates."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fanout_svc.domain import Topic
from fanout_svc.windows import Due, Windows

A: Topic = ("default", "messages/a")
B: Topic = ("default", "messages/b")
WINDOW = 0.5


def tap(windows: Windows, version: int, user: str = "alice", topic: Topic = A) -> None:
    windows.change(topic, user, True, False, version)


def flush(windows: Windows, now: float, limit: int = 1_000) -> list[Due]:
    taken = windows.due(now, limit)
    for due in taken:
        windows.sent(due.topic)
    return taken


def test_the_first_change_of_a_quiet_topic_goes_at_once() -> None:
    windows = Windows(WINDOW)
    assert windows.next_due() is None
    tap(windows, 7)
    assert windows.next_due() == 0.0
    (due,) = flush(windows, 10.0)
    assert (due.topic, due.version, due.changes, due.recent()) == (A, 7, 1, ("alice",))


def test_later_changes_go_together_when_the_window_ends() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    flush(windows, 10.0)
    tap(windows, 2, "bob")
    tap(windows, 3, "carol")
    assert flush(windows, 10.49) == []
    assert windows.next_due() == 10.5
    (due,) = flush(windows, 10.5)
    assert (due.version, due.changes, due.recent()) == (3, 2, ("carol", "bob"))


def test_a_topic_is_quiet_again_after_a_window_without_changes() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    flush(windows, 10.0)
    assert flush(windows, 10.5) == []
    assert len(windows) == 0
    tap(windows, 2)
    assert [due.version for due in flush(windows, 10.51)] == [2]


def test_a_storm_of_101_changes_is_one_and_100_are_none() -> None:
    for changes, storm in ((100, False), (101, True)):
        windows = Windows(WINDOW, storm_above=100)
        for n in range(changes):
            tap(windows, n + 1, f"u{n}")
        (due,) = flush(windows, 0.0)
        assert windows.is_storm(due) is storm
        assert bool(due.recent()) is not storm


def test_recent_people_are_distinct_latest_first_at_most_5_and_still_hold_something() -> None:
    windows = Windows(WINDOW)
    for version, user in enumerate(["a", "b", "c", "d", "e", "f", "a"], 1):
        tap(windows, version, user)
    windows.change(A, "d", False, True, 8)  # took it back
    windows.change(A, "x", False, True, 9)  # took back an old one
    windows.change(A, "b", True, True, 10)  # switched
    (due,) = flush(windows, 0.0)
    assert due.recent() == ("b", "a", "f", "e", "c")


def test_one_who_only_switched_reacted_too() -> None:
    windows = Windows(WINDOW)
    windows.change(A, "zoe", True, True, 1)
    assert flush(windows, 0.0)[0].recent() == ("zoe",)


def test_topics_that_became_loud_together_spread_out() -> None:
    windows = Windows(WINDOW)
    topics = [("default", f"messages/{n}") for n in range(5)]
    for topic in topics:
        tap(windows, 1, topic=topic)
    for n in range(5):  # two at a time, 10 ms apart
        flush(windows, n * 0.01, 2)
    for topic in topics:
        tap(windows, 2, topic=topic)
    assert [due.topic for due in flush(windows, 0.5)] == topics[:2]
    assert [due.topic for due in flush(windows, 0.51)] == topics[2:4]
    assert [due.topic for due in flush(windows, 0.52)] == topics[4:]


def test_what_failed_is_due_again_with_all_that_came_meanwhile() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1, "alice")
    (due,) = windows.due(0.0, 10)
    tap(windows, 2, "bob")
    windows.failed(due, 0.05)
    assert windows.due(0.04, 10) == []
    assert windows.next_due() == 0.05
    (again,) = windows.due(0.05, 10)
    assert (again.version, again.changes, again.recent()) == (2, 2, ("bob", "alice"))
    windows.sent(A)
    assert windows.due(0.54, 10) == []  # the window counts from the second try


def test_a_retry_that_was_overtaken_sends_nothing_early() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    (due,) = windows.due(0.0, 10)
    windows.failed(due, 0.6)
    assert len(flush(windows, 0.5)) == 1  # its window ended before the retry
    assert flush(windows, 0.7) == []


def test_a_flush_that_takes_longer_than_a_window_holds_the_topic_back_and_loses_nothing() -> None:
    windows = Windows(WINDOW)
    tap(windows, 1)
    windows.due(0.0, 10)
    tap(windows, 2)
    assert windows.due(0.6, 10) == []
    windows.sent(A)
    assert [due.version for due in windows.due(0.61, 10)] == [2]


@given(st.integers(0, 100_000))
def test_whatever_fails_the_last_change_goes_out_and_no_topic_too_often(seed: int) -> None:
    """Random changes, slow and failing flushes, on a clock of 10 ms ticks; then silence."""
    rng = random.Random(seed)
    windows = Windows(50, storm_above=3)
    last = {A: 0, B: 0}
    out: dict[Topic, list[tuple[int, int]]] = {A: [], B: []}
    flying: list[tuple[int, Due]] = []
    for now in range(400):
        if now < 250 and rng.random() < 0.3:
            topic = rng.choice([A, B])
            last[topic] += 1
            tap(windows, last[topic], rng.choice("abc"), topic)
        for due in windows.due(now, 1):
            flying.append((now + rng.choice([0, 0, 2, 70]), due))
            out[due.topic].append((now, due.version))
        for landed in [one for one in flying if one[0] <= now]:
            flying.remove(landed)
            if now < 250 and rng.random() < 0.3:
                out[landed[1].topic].remove(out[landed[1].topic][-1])
                windows.failed(landed[1], now + 5)
            else:
                windows.sent(landed[1].topic)
    assert len(windows) == 0
    for topic, sent in out.items():
        assert not last[topic] or sent[-1][1] == last[topic]
        assert [version for _, version in sent] == sorted(version for _, version in sent)
        assert all(later - earlier >= 50 for (earlier, _), (later, _) in pairwise(sent))
