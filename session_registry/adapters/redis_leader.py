"""The leader's lease in Redis: taken by one script, renewed at a third, over by the leader's own clock first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from kit.clock import Clock
from kit.errors import OutcomeUnknown, Unavailable
from session_registry.domain import Term
from session_registry.ports import Lead

if TYPE_CHECKING:
    from kit.adapters.redis import Redis

log = structlog.get_logger()
_HERE = Path(__file__).parent
# The lease is over for us while it still has this part to go in Redis, whose clock may run a little faster.
_CAREFUL = 0.9
_FAREWELL = 1.0


class _Held(NamedTuple):
    """A lease of ours: until when by our clock (seconds), and what was true at the moment `asked`."""

    term: int
    asked: float
    until: float
    micros: int
    ceiling: int


class RedisLeader:
    """See `ports.Leadership`. Whoever leads and cannot reach Redis steps down when the lease is over."""

    def __init__(self, redis: Redis, clock: Clock, *, name: str, address: Callable[[], str], lease: float) -> None:
        """`name` is of this process alone; `address` tells where it serves, "" as long as it does not: then it does
        not stand for election. `lease` in seconds."""
        self._lead = redis.script(_HERE / "leader.lua")
        self._resign = redis.script(_HERE / "resign.lua")
        self._keys = lease_keys(redis)
        self._clock = clock
        self._name = name
        self._address = address
        self._lease = lease
        self._held: _Held | None = None
        self._leader = ""
        self._leader_until = 0.0
        self._resigned = asyncio.Event()

    def leads(self) -> bool:
        """See `ports.Leadership`."""
        held = self._held
        return held is not None and not self._resigned.is_set() and self._clock.monotonic() < held.until

    def leader(self) -> str:
        """See `ports.Leadership`."""
        if self._clock.monotonic() >= self._leader_until or (self._leader == self._address() and not self.leads()):
            return ""
        return self._leader

    def micros(self) -> int:
        """See `ports.Leadership`."""
        if self._held is None:
            return 0
        since = self._clock.monotonic() - self._held.asked
        return min(self._held.micros + int(since * 1_000_000), self._held.ceiling)

    def ceiling(self) -> int:
        """See `ports.Leadership`."""
        return self._held.ceiling if self._held is not None else 0

    async def campaign(self, lead: Lead, highest: Callable[[], int]) -> None:
        """See `ports.Leadership`."""
        try:
            while not self._resigned.is_set():
                if self._address() and await self._ask(highest()) and self._held is not None:
                    async with lead(Term(self._held.term)):
                        await self._keep(self._held.term, highest)
                else:
                    # Soon enough to follow a leader that resigns almost at once.
                    await self._pause(self._lease / 12)
        finally:
            await self._give_up(highest())

    def resign(self) -> None:
        """See `ports.Leadership`."""
        self._resigned.set()

    async def _keep(self, term: int, highest: Callable[[], int]) -> None:
        renewed = True
        while self.leads():
            await self._pause(self._lease / 3 if renewed else self._lease / 12)
            if not self.leads():
                return
            renewed = await self._ask(highest())
            if self._held is None or self._held.term != term:
                return

    async def _ask(self, highest: int) -> bool:
        """Takes or renews the lease; where that fails, what is held stays held until it is over."""
        asked = self._clock.monotonic()
        held = self._held if self.leads() else None
        if held is None:
            self._held = None
        args: list[str | int] = [self._name, self._address(), round(self._lease * 1000), highest]
        args.append(held.term if held is not None else 0)
        try:
            term, micros, ceiling, leader, left = await self._lead(self._keys, args)
        except (Unavailable, OutcomeUnknown) as error:
            log.info("the lease of the leader cannot be reached", reason=str(error))
            return False
        heard = self._clock.monotonic()
        self._leader, self._leader_until = leader.decode(), heard + max(0, int(left)) / 1000
        if int(term) == 0:
            self._held = None
            return False
        # The time was read after it was asked for: never ahead of the shared clock.
        self._held = _Held(int(term), heard, asked + self._lease * _CAREFUL, int(micros), int(ceiling))
        return True

    async def _give_up(self, highest: int) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._resign(self._keys, [self._name, max(highest, held.term)])
        except (Unavailable, OutcomeUnknown, TimeoutError) as error:
            log.info("the lease could not be given up; it ends by itself", reason=str(error))

    async def _pause(self, seconds: float) -> None:
        # Not `wait_for`, which loses a cancellation that comes with what it waits for.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._resigned.wait()


def lease_keys(redis: Redis) -> list[str]:
    """The keys of the lease, and of what outlives it."""
    return [redis.key("registry", "lease"), redis.key("registry", "term")]
