"""The timing wheel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.timing_wheel import TimingWheel


class Member:
    def __init__(self) -> None:
        self.slot = -1


@given(st.floats(0, 1e6), st.floats(0, 300), st.lists(st.floats(0.01, 40), max_size=60))
def test_a_scheduled_item_is_due_once_and_at_most_a_step_late(start: float, ahead: float, steps: list[float]) -> None:
    wheel: TimingWheel[Member] = TimingWheel(start, horizon=32)
    member = Member()
    now, due = start, start + ahead
    wheel.put(member, due)
    for step in [*steps, 400.0]:
        before, now = now, now + step
        due_members = wheel.advance(now)
        if due_members:
            assert due_members == [member]
            # Early only from beyond the horizon; never later than the advance after its step.
            assert now >= due or now - start >= 29
            assert before < due + 2
            break
    else:
        raise AssertionError("the member never came out")
    assert wheel.advance(now + 1000) == []


def test_a_removed_item_is_never_due() -> None:
    wheel: TimingWheel[Member] = TimingWheel(0.0)
    kept, removed = Member(), Member()
    wheel.put(kept, 5.0)
    wheel.put(removed, 5.0)
    wheel.remove(removed)
    assert wheel.advance(10.0) == [kept]


def test_an_item_that_is_rescheduled_is_due_at_its_new_time_only() -> None:
    wheel: TimingWheel[Member] = TimingWheel(0.0)
    member = Member()
    wheel.put(member, 5.0)
    wheel.put(member, 20.0)
    assert wheel.advance(10.0) == []
    assert wheel.advance(25.0) == [member]
