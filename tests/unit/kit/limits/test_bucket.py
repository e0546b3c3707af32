"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.limits.bucket import Bucket, Buckets

STEPS = st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5)), max_size=60)


def test_a_full_bucket_allows_its_burst_and_then_returns_the_wait() -> None:
    bucket = Bucket(rate=10, burst=3)
    assert [bucket.take(1, 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1, 100.0) == pytest.approx(0.1)


def test_a_caller_that_waits_for_the_retry_delay_is_served() -> None:
    bucket = Bucket(rate=7, burst=5)
    now = 1_700_000_000.0
    assert bucket.take(5, now) == 0.0
    now += bucket.take(3, now)
    assert bucket.take(3, now) == 0.0
    assert bucket.take(1, now) > 0.0


def test_a_refusal_uses_no_tokens() -> None:
    bucket = Bucket(rate=1, burst=2)
    assert bucket.take(2, 0.0) == 0.0
    waits = [bucket.take(2, 1.0) for _ in range(5)]
    assert waits == [pytest.approx(1.0)] * 5
    assert bucket.take(1, 1.0) == 0.0


def test_a_request_for_more_than_the_burst_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="can hold"):
        Bucket(rate=1, burst=2).take(3, 0.0)


def test_after_the_clock_was_set_back_no_key_waits_longer() -> None:
    bucket = Bucket(rate=1, burst=1)
    assert bucket.take(1, 10_000.0) == 0.0
    assert bucket.take(1, 10.0) <= 1.0


def test_one_key_cannot_use_tokens_of_another() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert buckets.take("alice", 1, 0.0) == 0.0
    assert buckets.take("alice", 1, 0.0) == pytest.approx(1.0)
    assert buckets.take("bob", 1, 0.0) == 0.0


def test_buckets_that_are_full_again_are_removed() -> None:
    buckets = Buckets(rate=1, burst=1, max_keys=1_000)
    for key in range(500):
        buckets.take(key, 1, 0.0)
    assert len(buckets) == 500
    for key in range(1_000, 1_500):
        buckets.take(key, 1, 10.0 + key)
    assert len(buckets) <= 2


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 0.5)), max_size=200))
def test_the_number_of_keys_is_bounded(takes: list[tuple[int, float]]) -> None:
    buckets = Buckets(rate=1, burst=2, max_keys=10)
    now = 0.0
    for key, pause in takes:
        now += pause
        buckets.take(key, 1, now)
        assert len(buckets) <= 10


@given(STEPS, st.floats(0.5, 20), st.integers(5, 20))
def test_never_more_than_the_burst_and_the_rate_allow_in_any_span(
    steps: list[tuple[float, int]], rate: float, burst: int
) -> None:
    buckets = Buckets(rate, burst)
    now, taken = 1_000.0, list[tuple[float, int]]()
    for pause, n in steps:
        now += pause
        if buckets.take("key", n, now) == 0.0:
            taken.append((now, n))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            span = taken[last][0] - taken[first][0]
            assert sum(n for _, n in taken[first : last + 1]) <= burst + rate * span + 1e-3


@given(STEPS, st.floats(0.5, 20), st.integers(5, 20))
def test_a_key_among_many_has_the_same_result_as_by_itself(
    steps: list[tuple[float, int]], rate: float, burst: int
) -> None:
    alone, among = Bucket(rate, burst), Buckets(rate, burst)
    now = 0.0
    for index, (pause, n) in enumerate(steps):
        now += pause
        among.take(index, 1, now)
        assert among.take("key", n, now) == pytest.approx(alone.take(n, now), abs=1e-9)
