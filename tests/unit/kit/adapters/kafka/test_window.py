"""Windows into a partition: what is kept, what is forgotten, who is woken."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.adapters.kafka.window import Window
from kit.errors import Unavailable
from kit.event_log.ports import Record


def records(first: int, count: int, size: int = 800) -> list[Record]:
    return [Record(first + n, "k", b"x" * size) for n in range(count)]


def positions(found: list[Record]) -> list[int]:
    return [record.position for record in found]


def test_a_window_has_the_records_after_its_start_position() -> None:
    window = Window(10, ahead=10_000, history=10_000, now=0.0)
    assert not window.covers(9)
    assert window.covers(10)
    assert not window.covers(11)
    window.add(records(13, 3))  # what is between 10 and 13 was never there
    assert [window.covers(after) for after in (9, 10, 12, 13, 15, 16)] == [False, True, True, True, True, False]
    assert positions(window.take(10, 2, 0.0)) == [13, 14]
    assert positions(window.take(14, 9, 0.0)) == [15]
    assert window.take(15, 9, 0.0) == []


def test_the_read_ahead_is_full_until_the_foremost_reader_has_read_half() -> None:
    window = Window(0, ahead=10_000, history=10_000, now=0.0)
    window.add(records(1, 9))
    assert not window.is_full()
    window.add(records(10, 1))
    assert window.is_full()
    window.take(4, 1, 0.0)
    assert not window.has_room()
    window.take(5, 1, 0.0)
    assert window.has_room()
    window.take(1, 1, 0.0)  # a reader that lags further changes nothing
    assert window.has_room()


def test_records_of_the_foremost_reader_stay_for_others_up_to_the_history() -> None:
    window = Window(0, ahead=100_000, history=3_000, now=0.0)
    window.add(records(1, 10))
    window.take(8, 1, 0.0)
    assert [window.covers(after) for after in (4, 5)] == [False, True]
    assert positions(window.take(5, 9, 0.0)) == [6, 7, 8, 9, 10]


def test_trimmed_records_are_dropped_from_memory() -> None:
    window = Window(0, ahead=5_000, history=9_000, now=0.0)
    window.add(records(1, 10))
    window.take(3, 1, 0.0)
    window.trim(8)
    assert positions(window.take(0, 9, 0.0)) == [8, 9, 10]
    assert window.covers(0)
    assert not window.is_full()


@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "trim"]), st.integers(0, 60), st.integers(1, 9)), max_size=40)
)
def test_a_reader_gets_every_record_once(steps: list[tuple[str, int, int]]) -> None:
    window = Window(0, ahead=5_000, history=2_000, now=0.0)
    last = trimmed = 0
    for what, place, size in steps:
        if what == "add":
            window.add(records(last + 1, size, 100 * size))
            last += size
        elif what == "trim":
            trimmed = max(trimmed, min(place, last))
            window.trim(min(place, last))
        elif window.covers(place):
            expected = [p for p in range(place + 1, last + 1) if p >= trimmed][:size]
            assert positions(window.take(place, size, 0.0)) == expected
    assert window.high == last


async def test_waiting_readers_are_woken_by_records_or_by_an_error() -> None:
    window = Window(0, ahead=5_000, history=2_000, now=0.0)
    waiting = [asyncio.create_task(window.grown()) for _ in range(2)]
    await asyncio.sleep(0)
    assert window.is_waited_for
    window.add(records(1, 1))
    await asyncio.gather(*waiting)
    waiting = [asyncio.create_task(window.grown())]
    await asyncio.sleep(0)
    window.wake(Unavailable("gone"))
    with pytest.raises(Unavailable):
        await waiting[0]
    await window.grown(0.001)
    assert not window.is_waited_for
