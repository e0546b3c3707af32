"""How long calls take, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

_READS = 1_000
_SECONDS_A_READ = 0.005


def waits_ms(read: Callable[[], None]) -> list[float]:
    """Milliseconds of each of some reads, at a pace that the server keeps, in their order of size."""
    waits = []
    for _ in range(_READS):
        began = time.perf_counter()
        read()
        waits.append((time.perf_counter() - began) * 1e3)
        time.sleep(_SECONDS_A_READ)
    return sorted(waits)


def share_of(waits: Sequence[float], share: float) -> float:
    """What that share of the waits, in their order of size, does not exceed."""
    return waits[int(share * len(waits))]


def p99_ms(read: Callable[[], None]) -> float:
    """Milliseconds within which 99 % of some reads are answered."""
    return share_of(waits_ms(read), 0.99)
