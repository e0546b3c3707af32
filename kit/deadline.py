"""How long the caller of the current call waits for its answer."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_DEADLINE: ContextVar[float] = ContextVar("deadline")  # on the loop's clock


def answer_within(seconds: float) -> None:
    """Notes, for what is done in this context, that the caller waits so long from now on."""
    _DEADLINE.set(asyncio.get_running_loop().time() + seconds)


def remaining(most: float) -> float:
    """The seconds that are left, `most` at most; `most` where the caller has not said how long it waits."""
    deadline = _DEADLINE.get(None)
    if deadline is None:
        return most
    return max(0.0, min(most, deadline - asyncio.get_running_loop().time()))
