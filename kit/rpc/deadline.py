"""The deadline of the current call."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_DEADLINE: ContextVar[float] = ContextVar("deadline")  # on the loop's clock


def answer_within(seconds: float) -> None:
    """Sets the deadline of the current context to `seconds` from now."""
    _DEADLINE.set(asyncio.get_running_loop().time() + seconds)


def remaining(most: float) -> float:
    """Seconds until the deadline, at most `most`; `most` where there is no deadline."""
    deadline = _DEADLINE.get(None)
    if deadline is None:
        return most
    return max(0.0, min(most, deadline - asyncio.get_running_loop().time()))
