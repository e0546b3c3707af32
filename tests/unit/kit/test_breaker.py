"""The breaker opens on failures in a row, probes, and closes."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from kit.breaker import Breaker, engine_breaker
from kit.clock import ManualClock
from kit.errors import Unavailable


def passes(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except Unavailable:
        return False
    return True


def metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"engine": "an engine of this test"})


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    clock = ManualClock()
    breaker = Breaker(5, 0.5, clock)
    for _ in range(4):
        breaker.failed()
    breaker.ok()
    for _ in range(4):
        breaker.failed()
    assert passes(breaker)
    breaker.failed()
    assert not passes(breaker)
    with pytest.raises(Unavailable) as refusal:
        breaker.check()
    assert refusal.value.retry_after == 0.5


def test_calls_that_time_out_one_after_the_other_open_it_within_a_second() -> None:
    clock = ManualClock()
    breaker = Breaker(5, 0.5, clock)
    while passes(breaker):
        assert clock.monotonic() < 1.0
        clock.advance(0.5)  # the timeout
        breaker.failed()


def test_two_simultaneous_failures_do_not_open_the_breaker() -> None:
    breaker = Breaker(5, 0.5, ManualClock())
    breaker.failed()
    breaker.failed()
    assert passes(breaker)


def test_one_probe_passes_at_a_time_and_its_success_closes_it() -> None:
    clock = ManualClock()
    breaker = Breaker(1, 0.5, clock)
    breaker.failed()
    clock.advance(0.49)
    assert not passes(breaker)
    clock.advance(0.01)
    assert passes(breaker)
    assert not passes(breaker)
    breaker.ok()
    assert passes(breaker)
    assert passes(breaker)


def test_a_failed_probe_keeps_the_breaker_open_for_the_same_time_again() -> None:
    clock = ManualClock()
    breaker = Breaker(1, 0.5, clock)
    breaker.failed()
    clock.advance(0.5)
    assert passes(breaker)
    clock.advance(0.3)
    breaker.failed()
    clock.advance(0.49)
    assert not passes(breaker)
    clock.advance(0.01)
    assert passes(breaker)


def test_a_cancelled_probe_does_not_keep_the_breaker_open_forever() -> None:
    clock = ManualClock()
    breaker = Breaker(1, 0.5, clock)
    breaker.failed()
    clock.advance(0.5)
    assert passes(breaker)  # and nothing is ever said of it
    clock.advance(0.5)
    assert passes(breaker)


def test_the_state_of_the_breaker_is_measured() -> None:
    breaker = engine_breaker("an engine of this test", failures=1)
    assert metric("plaudit_breaker_open") == 0
    breaker.failed()
    assert metric("plaudit_breaker_open") == 1
    breaker.ok()
    assert metric("plaudit_breaker_open") == 0
    assert metric("plaudit_breaker_opened_total") == 1
    breaker.failed()
    with pytest.raises(Unavailable, match="an engine of this test"):
        breaker.check()
