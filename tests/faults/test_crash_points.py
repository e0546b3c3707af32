"""Every crash point names an existing method: a renamed one would never be reached."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.faults.mutants.crash_points import POINTS


@pytest.mark.parametrize("name", sorted(POINTS))
def test_a_crash_point_names_a_method(name: str) -> None:
    point = POINTS[name]
    owner = getattr(importlib.import_module(point.module), point.owner)
    assert inspect.isfunction(inspect.getattr_static(owner, point.method))
