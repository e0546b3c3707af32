"""What a soak concludes from its lines."""

from __future__ import annotations

from collections.abc import Sequence

from tests.soak.verdict import LEAST, Line, findings

EVEN = Line(60.0, 5_000.0, 0, 10.0, 30.0, 2.0, 5.0, 0.5, 100.0, 10.0)


def growing(lines: Sequence[Line]) -> list[str]:
    return [finding.bound.name for finding in findings(lines) if not finding.is_flat]


def with_p99(*times: float) -> list[Line]:
    return [Line(60.0, 5_000.0, 0, 10.0, time, 2.0, 5.0, 0.5, 100.0, 10.0) for time in times]


def test_constant_measurements_do_not_grow() -> None:
    assert growing([EVEN] * 30) == []
    assert len(findings([EVEN] * 30)) == 5


def test_a_p99_that_more_than_doubles_is_growth() -> None:
    assert growing(with_p99(*(30.0 + 2 * minute for minute in range(30)))) == ["p99"]


def test_a_single_slow_minute_is_no_growth() -> None:
    assert growing(with_p99(*[30.0] * 28, 90.0, 30.0)) == []


def test_the_first_tenth_does_not_count() -> None:
    (p99,) = [finding for finding in findings(with_p99(900.0, *[30.0] * 9)) if finding.bound.name == "p99"]
    assert p99.first == 30.0


def test_a_measurement_that_is_missing_is_not_flat() -> None:
    assert growing(with_p99(*[float("nan")] * 9)) == ["p99"]


def test_too_few_measurements_give_no_verdict() -> None:
    assert findings([EVEN] * (LEAST - 1)) == []
