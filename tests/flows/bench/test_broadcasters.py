"""The benchmarks work: what they measure is measured here in small, without a figure."""

from __future__ import annotations

import pytest

from bench.broadcasters import plaudit_broadcaster
from bench.processes import Skipped
from bench.system import plaudit

VIEWERS = 5


def test_pushes_to_the_gateway_reach_every_viewer() -> None:
    try:
        with plaudit() as system, plaudit_broadcaster(system, VIEWERS) as broadcaster:
            measured = broadcaster.measure(20, 0.5)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert measured.deliveries == 10 * VIEWERS
