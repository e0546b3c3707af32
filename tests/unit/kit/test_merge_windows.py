"""Of the values of a key at most one passes in each window, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ManualClock
from kit.merge_windows import MergeLoop, MergeWindows
from kit.tasks import background


def windows(max_keys: int = 100) -> MergeWindows[str, tuple[int, ...]]:
    return MergeWindows(1.0, lambda earlier, later: earlier + later, max_keys)


def test_the_first_value_passes_immediately_and_later_ones_together_at_the_end_of_the_window() -> None:
    merged = windows()
    assert merged.add("a", (1,), 0.0) == [(1,)]
    assert merged.add("a", (2,), 0.1) == merged.add("a", (3,), 0.9) == merged.due(0.99) == []
    assert merged.next_end == 1.0
    assert merged.due(1.0) == [(2, 3)]
    assert merged.add("a", (4,), 1.5) == []
    assert merged.due(2.0) == [(4,)]
    assert merged.due(3.0) == []
    assert len(merged) == 0
    assert merged.next_end is None


def test_keys_have_windows_of_their_own() -> None:
    merged = windows()
    assert merged.add("a", (1,), 0.0) == [(1,)]
    assert merged.add("b", (2,), 0.5) == [(2,)]
    merged.add("a", (3,), 0.6)
    merged.add("b", (4,), 0.6)
    assert merged.due(1.2) == [(3,)]
    assert merged.due(1.5) == [(4,)]


def test_with_too_many_keys_the_oldest_window_ends_early() -> None:
    merged = windows(max_keys=2)
    merged.add("a", (1,), 0.0)
    merged.add("a", (2,), 0.1)
    merged.add("b", (3,), 0.2)
    assert merged.add("c", (4,), 0.3) == [(4,), (2,)]
    assert len(merged) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.7), st.booleans()), max_size=40))
def test_nothing_is_lost_repeated_or_out_of_order_and_a_key_passes_once_in_a_window(
    steps: list[tuple[str, float, bool]],
) -> None:
    merged, now = windows(), 0.0
    passed: dict[str, list[tuple[float, tuple[int, ...]]]] = {}
    given_values: dict[str, list[int]] = {}
    keys = {}
    for number, (key, pause, is_looked_at) in enumerate(steps):
        now += pause
        passing = merged.due(now) if is_looked_at else []
        given_values.setdefault(key, []).append(number)
        keys[number] = key
        for value in [*passing, *merged.add(key, (number,), now)]:
            passed.setdefault(keys[value[0]], []).append((now, value))
    while merged.next_end is not None:
        now = max(now, merged.next_end)
        for value in merged.due(now):
            passed.setdefault(keys[value[0]], []).append((now, value))
    for key, values in given_values.items():
        assert [one for _, value in passed[key] for one in value] == values
        times = [at for at, _ in passed[key]]
        assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in pairwise(times))


async def test_a_loop_emits_current_and_waiting_values() -> None:
    clock, emitted = ManualClock(), asyncio.Queue[Sequence[tuple[int, ...]]]()
    loop = MergeLoop(windows(), clock, emitted.put_nowait)
    async with background(loop.run()):
        loop.add_all([("a", (1,)), ("b", (2,)), ("a", (3,))])
        assert await asyncio.wait_for(emitted.get(), 5) == [(1,), (2,)]
        clock.advance(1.0)
        loop.add_all([("c", (5,))])
        assert await asyncio.wait_for(emitted.get(), 5) == [(5,)]
        assert await asyncio.wait_for(emitted.get(), 5) == [(3,)]


async def test_windows_that_began_together_end_in_several_steps() -> None:
    clock, emitted = ManualClock(), asyncio.Queue[Sequence[tuple[int, ...]]]()
    loop = MergeLoop(windows(1_000), clock, emitted.put_nowait)
    loop.add_all([(f"{key}", (key,)) for key in range(400)])
    loop.add_all([(f"{key}", (key + 1_000,)) for key in range(400)])
    await emitted.get()
    clock.advance(1.0)
    steps: list[Sequence[tuple[int, ...]]] = []
    async with background(loop.run()):
        while sum(map(len, steps)) < 400:
            steps.append(await asyncio.wait_for(emitted.get(), 5))
    assert [value for step in steps for (value,) in step] == list(range(1_000, 1_400))
    assert max(map(len, steps)) == 16
