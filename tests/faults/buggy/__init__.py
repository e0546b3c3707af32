"""Bugs that exist only here: each takes something out of the program that a test must then miss."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.faults.buggy import counting, crashing, records, shown

BUGS: Mapping[str, Callable[[], None]] = {**records.BUGS, **counting.BUGS, **shown.BUGS}


def plant(name: str) -> None:
    """Plants a bug by its name, or a crash: `crash:POINT:TIMES`. Raises KeyError."""
    if name.startswith("crash:"):
        _, point, times = name.split(":")
        crashing.die_at(point, int(times))
    else:
        BUGS[name]()
