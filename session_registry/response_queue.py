"""Responses to one node, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from session_registry.domain import Session

_MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """One response. `epoch` and `lease` (seconds) are 0 except in the first; `fenced` precedes `granted`."""

    epoch: int = 0
    lease: float = 0.0
    fenced: tuple[str, ...] = ()
    granted: tuple[Session, ...] = ()
    logged_out: tuple[str, ...] = ()


class ResponseQueue:
    """The responses that wait to be sent to a node, until it is closed."""

    def __init__(self) -> None:
        self._responses: deque[NodeResponse] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._responses)

    def add(self, response: NodeResponse) -> None:
        """Adds the response to a request."""
        self._responses.append(response)
        self._wake.set()

    def fence(self, session_ids: Sequence[str]) -> None:
        """Adds fences after all earlier grants. Bounded by the sessions of the node: each is fenced once."""
        last = self._responses[-1] if self._responses else None
        if last is not None and not last.granted:
            self._responses[-1] = replace(last, fenced=(*last.fenced, *session_ids))
        else:
            self._responses.append(NodeResponse(fenced=tuple(session_ids)))
        self._wake.set()

    def log_out(self, session_ids: Sequence[str]) -> None:
        """Adds the ends of sessions, after all earlier grants. Bounded as fences are."""
        self._responses.append(NodeResponse(logged_out=tuple(session_ids)))
        self._wake.set()

    def close(self, failure: Exception | None = None) -> None:
        """Ends the stream: after the waiting responses, or at once with a failure."""
        self._ended = True
        self._failure = self._failure or failure
        self._wake.set()
        self._room.set()

    async def next(self) -> NodeResponse | None:
        """Waits for the next response. None at the end; raises the failure."""
        while not self._responses and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        if self._failure is not None:
            raise self._failure
        if not self._responses:
            return None
        self._room.set()
        return self._responses.popleft()

    async def wait_for_capacity(self) -> None:
        """Waits while too many responses wait for a node that does not read."""
        while len(self._responses) > _MAX_WAITING and not self._ended:
            self._room.clear()
            await self._room.wait()
