"""Planted bugs, by name: each changes the program in a way that a check must detect."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.faults.mutants import counts, crash_points, pushes, records

MUTANTS: Mapping[str, Callable[[], None]] = {**records.MUTANTS, **counts.MUTANTS, **pushes.MUTANTS}


def activate(name: str) -> None:
    """Activates a bug by its name, or a crash point: `crash:POINT:TIMES`. Raises KeyError."""
    if name.startswith("crash:"):
        _, point, times = name.split(":")
        crash_points.crash_at(point, int(times))
    else:
        MUTANTS[name]()
