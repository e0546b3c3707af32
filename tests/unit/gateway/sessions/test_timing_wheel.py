"""The timing wheel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.sessions.timing_wheel import Wheel


class Member:
    def __init__(self) -> None:
        self.slot = -1


@given(st.floats(0, 1e6), st.floats(0, 300), st.lists(st.floats(0.01, 40), max_size=60))
def test_a_member_comes_up_once_and_at_most_a_step_late(start: float, ahead: float, steps: list[float]) -> None:
    wheel: Wheel[Member] = Wheel(start, horizon=32)
    member = Member()
    now, due = start, start + ahead
    wheel.put(member, due)
    for step in [*steps, 400.0]:
        before, now = now, now + step
        come = wheel.turn(now)
        if come:
            assert come == [member]
            # Early only from beyond the horizon; never later than the turn after its step.
            assert now >= due or now - start >= 29
            assert before < due + 2
            break
    else:
        raise AssertionError("the member never came up")
    assert wheel.turn(now + 1000) == []


def test_a_member_that_was_dropped_does_not_come_up() -> None:
    wheel: Wheel[Member] = Wheel(0.0)
    kept, dropped = Member(), Member()
    wheel.put(kept, 5.0)
    wheel.put(dropped, 5.0)
    wheel.drop(dropped)
    assert wheel.turn(10.0) == [kept]


def test_a_member_put_again_comes_up_at_its_new_time_only() -> None:
    wheel: Wheel[Member] = Wheel(0.0)
    member = Member()
    wheel.put(member, 5.0)
    wheel.put(member, 20.0)
    assert wheel.turn(10.0) == []
    assert wheel.turn(25.0) == [member]
