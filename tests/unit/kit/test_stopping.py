"""One deadline for all stages of a stop."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from kit.stopping import Stage, StopDeadline, unfinished_tasks


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_stage_has_to_end_before_the_next_one() -> None:
    for grace in (0.5, 3.0, 5.0, 60.0):
        deadline = StopDeadline(grace)
        ends = [deadline.seconds_until(stage) for stage in Stage]
        assert all(earlier < later for earlier, later in pairwise(ends))
        assert ends[0] > grace / 2
        assert ends[-1] == grace


def test_stages_that_use_all_their_time_end_within_the_grace() -> None:
    clock = FakeClock()
    deadline = StopDeadline(3.0, clock)
    deadline.start()
    for stage in Stage:
        clock.now += deadline.left(stage)
    assert deadline.elapsed() == pytest.approx(3.0)


def test_unused_time_of_a_stage_is_available_to_later_stages() -> None:
    clock = FakeClock()
    deadline = StopDeadline(5.0, clock)
    deadline.start()
    clock.now += 0.1
    assert deadline.left(Stage.LEDGER) == pytest.approx(5.0 - 0.1 - 0.25)


def test_a_late_stage_does_not_shorten_the_last_stages() -> None:
    clock = FakeClock()
    deadline = StopDeadline(4.0, clock)
    deadline.start()
    clock.now += 3.7  # of 4, of which 0.6 are for the stages after the rpcs
    assert deadline.left(Stage.RPCS) == 0.0
    assert deadline.left(Stage.LEDGER) == pytest.approx(0.1)
    assert deadline.left(Stage.FILES) == pytest.approx(0.3)


def test_nearly_all_of_a_long_grace_is_for_the_clients() -> None:
    assert StopDeadline(60.0).seconds_until(Stage.CLIENTS) == 57.0


def test_a_stop_that_no_signal_began_begins_with_its_first_stage() -> None:
    clock = FakeClock()
    deadline = StopDeadline(2.0, clock)
    began: list[float] = []
    deadline.on_start = lambda: began.append(clock.now)
    clock.now += 50.0
    assert deadline.elapsed() == 0.0
    assert deadline.left(Stage.FILES) == 2.0
    clock.now += 1.5
    deadline.start()
    assert deadline.left(Stage.FILES) == pytest.approx(0.5)
    assert began == [1050.0]


def test_no_grace_is_no_time_for_any_stage() -> None:
    assert [StopDeadline(0.0).left(stage) for stage in Stage] == [0.0] * len(Stage)


async def _waits(forever: asyncio.Event) -> None:
    await forever.wait()


async def test_a_task_that_has_not_ended_is_named_with_its_code_position() -> None:
    forever = asyncio.Event()
    task = asyncio.create_task(_waits(forever), name="waiter")
    await asyncio.sleep(0)
    found = await asyncio.to_thread(unfinished_tasks, asyncio.get_running_loop())
    assert any(one.startswith("waiter at kit/test_stopping.py:") and one.endswith(" _waits") for one in found)
    forever.set()
    await task
    assert not any(one.startswith("waiter") for one in unfinished_tasks(asyncio.get_running_loop()))
