"""What waits to be sent on one stream: answers to a node, or changes to a watcher, merged where the order allows it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from session_registry.domain import Delta, Session

_ANSWERS_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One response to a node. `epoch` and `lease` (seconds) are 0 but in the first; `fenced` comes before `granted`."""

    epoch: int = 0
    lease: float = 0.0
    fenced: tuple[str, ...] = ()
    granted: tuple[Session, ...] = ()


class Outbox:
    """Answers for one node, until it is closed."""

    def __init__(self) -> None:
        self._answers: deque[Answer] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, answer: Answer) -> None:
        """Adds the response to a request."""
        self._answers.append(answer)
        self._wake.set()

    def fence(self, session_ids: Sequence[str]) -> None:
        """Adds fences, behind every grant so far. Bounded by the sessions of the node: each is fenced once."""
        last = self._answers[-1] if self._answers else None
        if last is not None and not last.granted:
            self._answers[-1] = Answer(last.epoch, last.lease, (*last.fenced, *session_ids))
        else:
            self._answers.append(Answer(fenced=tuple(session_ids)))
        self._wake.set()

    def close(self, failure: Exception | None = None) -> None:
        """Ends the stream: once what waits is sent, or at once with a failure."""
        self._ended = True
        self._failure = self._failure or failure
        self._wake.set()
        self._room.set()

    async def next(self) -> Answer | None:
        """The next answer; waits for it. None at the end; raises the failure."""
        while not self._answers and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        if self._failure is not None:
            raise self._failure
        if not self._answers:
            return None
        self._room.set()
        return self._answers.popleft()

    async def room(self) -> None:
        """Waits while a node that does not read has too many answers waiting."""
        while len(self._answers) > _ANSWERS_WAITING and not self._ended:
            self._room.clear()
            await self._room.wait()


class Backlog:
    """Changes for one watcher, at most `limit` of them."""

    def __init__(self, limit: int, *, topics: bool) -> None:
        self._limit = limit
        self._topics = topics
        self._deltas: deque[Delta] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._over = False

    def add(self, delta: Delta) -> bool:
        """Adds changes; False, once and for all, where the watcher has fallen too far behind."""
        if not self._topics:
            delta = Delta(delta.down, delta.up)
        if self._over or not delta:
            return not self._over
        self._size += len(delta)
        if self._size > self._limit:
            self.close()
        else:
            self._deltas.append(delta)
            self._wake.set()
        return not self._over

    def close(self) -> None:
        """Drops what waits and ends the watch."""
        self._over = True
        self._deltas.clear()
        self._wake.set()

    async def next(self, patience: float = 3600.0) -> Delta | None:
        """The next changes, several at once where interest alone has changed; waits for them. None: it is over.

        No changes, where none come within `patience` seconds.
        """
        try:
            async with asyncio.timeout(patience):
                while not self._deltas and not self._over:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return Delta()
        if self._over:
            return None
        delta = self._deltas.popleft()
        interests = list(delta.interests)
        while self._deltas and not self._deltas[0].down and not self._deltas[0].up:
            interests.extend(self._deltas.popleft().interests)
        merged = Delta(delta.down, delta.up, tuple(interests))
        self._size -= len(merged)
        return merged
