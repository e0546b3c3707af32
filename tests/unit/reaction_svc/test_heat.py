"""When a target is hot."""

from __future__ import annotations

from reaction_svc.heat import Heat, HeatRule

RULE = HeatRule(rate=100, hot_after=3, cool_after=5)


def pour(heat: Heat, start: int, seconds: int, rate: int) -> list[bool]:
    return [heat.note(rate // 10, start + i / 10) for i in range(seconds * 10)]


def test_a_short_burst_heats_nothing() -> None:
    heat = Heat(RULE, 0)
    assert not any(pour(heat, 0, 2, 1_000))
    assert not any(pour(heat, 2, 60, 10))


def test_a_high_rate_for_some_time_makes_a_target_hot_and_a_low_one_for_longer_cools_it() -> None:
    heat = Heat(RULE, 0)
    assert pour(heat, 0, 5, 200)[-1]
    assert pour(heat, 5, 4, 20)[-1]
    assert not pour(heat, 9, 5, 20)[-1]


def test_between_the_bounds_a_hot_target_stays_hot_and_a_cool_one_cool() -> None:
    hot, cool = Heat(RULE, 0, hot=True), Heat(RULE, 0)
    assert all(pour(hot, 0, 60, 70))
    assert not any(pour(cool, 0, 60, 70))


def test_a_target_nobody_touches_any_more_cools() -> None:
    heat = Heat(RULE, 0, hot=True)
    heat.note(1_000, 0.5)
    assert heat.note(0, 1.5)
    heat.note(0, 3)
    assert not heat.note(0, 10)
