"""Registries that want to lead, and what they wait for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kit.clock import SystemClock
from kit.tasks import background
from session_registry.domain import Term
from session_registry.ports import Leadership

TIMEOUT = 20.0


class FastClock(SystemClock):
    """An hour ahead, and a second faster every minute."""

    def now(self) -> float:
        return super().now() + 3_600


@dataclass
class Candidate:
    """A registry in a campaign, and what it lived through."""

    leadership: Leadership
    terms: list[int] = field(default_factory=list)
    leading: bool = False
    highest: int = 0

    @asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        self.terms.append(term.number)
        self.highest = max(self.highest, term.number)
        self.leading = True
        try:
            yield
        finally:
            self.leading = False

    def give_epoch(self) -> int:
        """As the registry does for a login."""
        given = self.give_epoch_if_leading()
        assert given, "it does not lead"
        return given

    def give_epoch_if_leading(self) -> int:
        """0 where it does not lead any more."""
        if not self.leadership.leads():
            return 0
        self.highest = max(self.highest + 1, self.leadership.micros())
        assert self.highest <= self.leadership.ceiling()
        return self.highest


@asynccontextmanager
async def campaigning(leadership: Leadership) -> AsyncIterator[Candidate]:
    candidate = Candidate(leadership)
    async with background(leadership.campaign(candidate.lead, lambda: candidate.highest)):
        yield candidate


async def until(is_true: Callable[[], Any]) -> None:
    """Polls a condition, which may be a coroutine function, for 20 s at most."""
    async with asyncio.timeout(TIMEOUT):
        while not (await found if inspect.isawaitable(found := is_true()) else found):  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.002)
