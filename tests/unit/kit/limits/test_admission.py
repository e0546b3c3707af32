"""Which calls a server takes on."""

from __future__ import annotations

import pytest

from kit.errors import Overloaded
from kit.limits.admission import Admission
from kit.limits.server_limits import AdmissionLimits

LIMITS = AdmissionLimits(always=2, most=100, share=0.2, early_refusals=10, default_deadline=5)


def taking(seconds: float, limits: AdmissionLimits = LIMITS) -> tuple[Admission, float]:
    """An admission whose calls have taken so long lately and that has `always` calls in flight, and the time."""
    admission, now = Admission(limits), 0.0
    for _ in range(500):
        admission.begin(None, now)
        admission.end(now, now + seconds)
        now += seconds
    for _ in range(limits.always):
        admission.begin(None, now)
    return admission, now


def is_refused(admission: Admission, left: float | None, now: float) -> bool:
    try:
        admission.begin(left, now)
    except Overloaded:
        return True
    return False


def test_a_call_that_cannot_be_answered_in_time_is_refused_with_a_retry_delay() -> None:
    admission, now = taking(0.5)
    with pytest.raises(Overloaded) as refused:
        admission.begin(0.7, now)  # slow calls take one and a half times as long as the mean
    assert refused.value.retry_after == pytest.approx(0.5)
    assert admission.in_flight == LIMITS.always


def test_the_first_calls_are_admitted_with_any_deadline() -> None:
    admission, now = taking(0.5)
    admission.end(now - 0.5, now)
    assert not is_refused(admission, 0.01, now)


def test_a_call_without_a_deadline_is_measured_by_the_default() -> None:
    assert is_refused(taking(4.0)[0], None, taking(4.0)[1])
    assert not is_refused(taking(0.5)[0], None, taking(0.5)[1])


def test_a_server_that_answers_no_call_refuses_although_calls_were_fast_before() -> None:
    admission, now = taking(0.001)
    assert not is_refused(admission, 1.0, now)
    assert is_refused(admission, 1.0, now + 0.9)


def test_after_an_idle_time_no_call_is_refused() -> None:
    admission, now = taking(0.001)
    for _ in range(LIMITS.always):
        admission.end(now, now)
    later = now + 3_600
    assert [is_refused(admission, 1.0, later) for _ in range(50)] == [False] * 50


def test_early_refusals_are_limited() -> None:
    admission, now = taking(0.5)
    refused = [is_refused(admission, 1.0, now) for _ in range(20)]
    assert refused.count(True) == 1
    assert is_refused(admission, 1.0, now + 0.1)  # ten a second
    unlimited, now = taking(0.5, LIMITS.model_copy(update={"early_refusals": 0}))
    assert not is_refused(unlimited, 1.0, now)


def test_above_the_maximum_every_call_is_refused() -> None:
    admission, now = taking(0.001)
    taken = [is_refused(admission, None, now) for _ in range(LIMITS.most)].count(False)
    assert taken == LIMITS.most - LIMITS.always
    assert admission.in_flight == LIMITS.most


def test_failed_and_cancelled_calls_are_no_longer_counted() -> None:
    admission, now = taking(0.01)
    admission.begin(1.0, now, 30)
    admission.end(now, now + 0.01, 30)
    assert admission.in_flight == LIMITS.always


def test_calls_that_time_out_are_no_sign_that_a_blocked_server_answers() -> None:
    admission, now = taking(0.001)
    admission.begin(1.0, now)
    admission.end(now, now + 1.0, answered=False)
    assert is_refused(admission, 1.0, now + 1.0)


def test_a_batch_counts_as_many_early_refusals_as_it_has_calls() -> None:
    admission, now = taking(0.5, LIMITS.model_copy(update={"early_refusals": 100}))
    admission.begin(1.0, now, 11)  # more than may be refused early at once
    with pytest.raises(Overloaded):
        admission.begin(1.0, now, 10)
    assert not is_refused(admission, 1.0, now), "its ten calls have used it up"
