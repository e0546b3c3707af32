"""The load of a fault run: mixed operations at a rate that does not wait for answers, from seeded chance."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import uuid_utils

from tests.faults.doors import UGLY, Change, GrpcDoor, Reply
from tests.faults.phone import Phone

TENANTS = ("default", "acme")
TARGETS = (
    *(f"messages/m{n}" for n in range(9)),
    *(f"posts/p{n}" for n in range(5)),
    "comments/c0",
    "streams/s0",
)
EMOJIS = ("👍", "❤", "😆", "😮", "🎉")
KINDS = {"toggle": 50, "add": 14, "remove": 7, "clear": 5, "switch": 16, "batch": 8}
_BATCH = 12
# Operations that may be under way before further ones are not offered: an open loop, but not without bound. Before the
# fault fewer: engines that have just started would be buried, and what buried them would be retried.
_MOST_IN_FLIGHT, _WARMING_IN_FLIGHT = 2_000, 100
_BACKOFF = (0.05, 1.0)
# How many give up where they are told that nothing was done: a refusal has to be one.
_GIVE_UP = 0.2


@dataclass(slots=True)
class Tally:
    """What a load did, as a runner wants to know it while it goes on."""

    offered: int = 0
    acked: int = 0
    shed: int = 0
    gave_up: int = 0
    ugly: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class Load:
    """Operations of people without sockets through the stubs, and of people with phones through these."""

    def __init__(
        self,
        doors: Sequence[GrpcDoor],
        phones: Sequence[Phone],
        rate: float,
        seed: int,
        repeated: float,
        spread: float,
    ) -> None:
        """`repeated` is the part that is sent several times, over `spread` seconds."""
        self.tally = Tally()
        self.failed: list[BaseException] = []
        """What went wrong in the load itself."""
        self._most_in_flight = _WARMING_IN_FLIGHT
        self.people = [(tenant, f"u{n}") for n in range(60) for tenant in TENANTS]
        self._doors = doors
        self._phones: dict[tuple[str, str], list[Phone]] = {}
        for phone in phones:
            self._phones.setdefault((phone.tenant, phone.user), []).append(phone)
        self._callers = list(self._phones)
        self._rate = rate
        self._repeat = repeated
        self._spread = spread
        self._random = random.Random(seed)
        self._working: set[asyncio.Task[None]] = set()
        self._until = float("inf")
        self._done = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Operations without an end."""
        return len(self._working)

    async def run(self) -> None:
        """Offers operations until `finish`."""
        due = time.monotonic()
        while not self._done.is_set():
            due += self._random.expovariate(self._rate)
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)  # the pace of the load
            self._offer()

    def is_warm(self) -> None:
        """From now on nothing holds the load back."""
        self._most_in_flight = _MOST_IN_FLIGHT
        self.tally.shed = 0

    async def finish(self, patience: float) -> None:
        """Offers nothing more, and waits until everything has its answer, `patience` seconds at most."""
        self._done.set()
        self._until = time.monotonic() + patience
        while self._working and time.monotonic() < self._until:
            await asyncio.wait(set(self._working), timeout=self._until - time.monotonic())
        for task in list(self._working):
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    def _offer(self) -> None:
        if len(self._working) >= self._most_in_flight:
            self.tally.shed += 1
            return
        chance = self._random
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "batch" and not self._doors:
            kind = "toggle"
        if kind == "batch":
            tenant = chance.choice(TENANTS)
            people = [one for one in self.people if one[0] == tenant]
            size = chance.randint(2, _BATCH)
            work = self._batch([self._change(chance.choice(people), "toggle") for _ in range(size)])
            self.tally.offered += size
        else:
            by_phone = bool(self._callers) and (not self._doors or chance.random() < 0.5)
            who = chance.choice(self._callers if by_phone else self.people)
            change = self._change(who, kind)
            copies = chance.randint(2, 5) if chance.random() < self._repeat else 1
            work = self._repeated(change, copies)
            self.tally.offered += 1
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(error)

    def _change(self, who: tuple[str, str], kind: str) -> Change:
        chance = self._random
        if kind == "switch":
            target, action = f"posts/p{chance.randrange(5)}", "add"
        else:
            target, action = chance.choice(TARGETS), kind
        # Mostly the ids that are recommended, and some that tell nothing of their time.
        op_id = str(uuid_utils.uuid7()) if chance.random() < 0.9 else f"op-{chance.getrandbits(64):x}"
        return Change(op_id, who[0], target, who[1], "" if action == "clear" else chance.choice(EMOJIS), action)

    async def _repeated(self, change: Change, copies: int) -> None:
        if copies > 1:
            # Sent again by someone impatient: at once, or a little later, over whichever way.
            spread = [self._random.uniform(0, self._spread) for _ in range(copies - 1)]
            await asyncio.gather(self._insist(change, 0.0), *(self._insist(change, later) for later in spread))
        else:
            await self._insist(change, 0.0)

    async def _insist(self, change: Change, later: float) -> None:
        await asyncio.sleep(later)  # the load's own spread
        gives_up = self._random.random() < _GIVE_UP
        wait = _BACKOFF[0]
        while True:
            reply = await self._attempt(change)
            if reply is not None:
                self._note(reply)
                if reply.final or (gives_up and reply.kind == "fail" and not reply.wait):
                    return
            if time.monotonic() > self._until:
                self.tally.gave_up += 1
                return
            pause = reply.wait if reply is not None and reply.wait else wait * self._random.uniform(0.5, 1.5)
            await asyncio.sleep(pause)  # as a client backs off
            wait = min(wait * 2, _BACKOFF[1])

    async def _attempt(self, change: Change) -> Reply | None:
        phones = self._phones.get((change.tenant, change.user))
        if phones:
            return await self._random.choice(phones).change(change)
        return await self._random.choice(self._doors).change(change)

    async def _batch(self, changes: list[Change]) -> None:
        wait = _BACKOFF[0]
        while changes:
            replies = await self._random.choice(self._doors).batch(changes)
            for reply in replies:
                self._note(reply)
            changes = [change for change, reply in zip(changes, replies, strict=True) if not reply.final]
            if changes and time.monotonic() > self._until:
                self.tally.gave_up += len(changes)
                return
            if changes:
                await asyncio.sleep(wait * self._random.uniform(0.5, 1.5))  # as a client backs off
                wait = min(wait * 2, _BACKOFF[1])

    def _note(self, reply: Reply) -> None:
        if reply.kind == "ok":
            self.tally.acked += 1
            return
        code = str(reply.result.get("code") or "")
        self.tally.reasons[f"{code} {reply.result.get('reason', '')}".strip()] += 1
        if code in UGLY:
            self.tally.ugly[f"{code} {reply.result.get('message', '')}".strip()] += 1
