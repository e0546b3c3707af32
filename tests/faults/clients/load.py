"""The load of a trial: random operations from a seed, at a rate that does not wait for answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import uuid_utils

from tests.faults.clients.grpc_clients import UNEXPECTED_CODES, Change, GrpcClient, Reply
from tests.faults.clients.ws_clients import WsClient

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
# Operations in flight above which further ones are dropped: an open loop, but bounded. The bound is lower before the
# fault: engines that have just started would be overloaded, and the overload would be retried.
_MAX_IN_FLIGHT, _MAX_IN_FLIGHT_WARMING = 2_000, 100
_BACKOFF = (0.05, 1.0)
# The share of operations that stop after a refusal: a refused operation must not have been made.
_GIVE_UP = 0.2


@dataclass(slots=True)
class LoadStats:
    """Counters of a load while it runs."""

    offered: int = 0
    acked: int = 0
    dropped: int = 0
    gave_up: int = 0
    unexpected: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class Load:
    """Sends operations: of some users through gRPC stubs, of others through WebSocket clients."""

    def __init__(
        self,
        grpc_clients: Sequence[GrpcClient],
        ws_clients: Sequence[WsClient],
        rate: float,
        seed: int,
        repeated: float,
        spread: float,
    ) -> None:
        """`repeated`: the share of operations sent several times, within `spread` seconds."""
        self.tally = LoadStats()
        self.failed: list[BaseException] = []
        """Errors of the load itself."""
        self._max_in_flight = _MAX_IN_FLIGHT_WARMING
        self.users = [(tenant, f"u{n}") for n in range(60) for tenant in TENANTS]
        self._grpc_clients = grpc_clients
        self._ws_clients: dict[tuple[str, str], list[WsClient]] = {}
        for client in ws_clients:
            self._ws_clients.setdefault((client.tenant, client.user), []).append(client)
        self._callers = list(self._ws_clients)
        self._rate = rate
        self._repeat = repeated
        self._spread = spread
        self._random = random.Random(seed)
        self._in_flight_tasks: set[asyncio.Task[None]] = set()
        self._until = float("inf")
        self._done = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """The number of operations in flight."""
        return len(self._in_flight_tasks)

    async def run(self) -> None:
        """Offers operations until `finish`."""
        due = time.monotonic()
        while not self._done.is_set():
            due += self._random.expovariate(self._rate)
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)  # the pace of the load
            self._offer()

    def allow_full_load(self) -> None:
        """Raises the bound of operations in flight to that of a warm system."""
        self._max_in_flight = _MAX_IN_FLIGHT
        self.tally.dropped = 0

    async def finish(self, settle_timeout: float) -> None:
        """Stops offering operations, and waits at most `settle_timeout` seconds for all answers."""
        self._done.set()
        self._until = time.monotonic() + settle_timeout
        while self._in_flight_tasks and time.monotonic() < self._until:
            await asyncio.wait(set(self._in_flight_tasks), timeout=self._until - time.monotonic())
        for task in list(self._in_flight_tasks):
            task.cancel()
        await asyncio.gather(*self._in_flight_tasks, return_exceptions=True)

    def _offer(self) -> None:
        if len(self._in_flight_tasks) >= self._max_in_flight:
            self.tally.dropped += 1
            return
        chance = self._random
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "batch" and not self._grpc_clients:
            kind = "toggle"
        if kind == "batch":
            tenant = chance.choice(TENANTS)
            users = [one for one in self.users if one[0] == tenant]
            size = chance.randint(2, _BATCH)
            work = self._batch([self._change(chance.choice(users), "toggle") for _ in range(size)])
            self.tally.offered += size
        else:
            by_websocket = bool(self._callers) and (not self._grpc_clients or chance.random() < 0.5)
            who = chance.choice(self._callers if by_websocket else self.users)
            change = self._change(who, kind)
            copies = chance.randint(2, 5) if chance.random() < self._repeat else 1
            work = self._repeated(change, copies)
            self.tally.offered += 1
        task = asyncio.create_task(work)
        self._in_flight_tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._in_flight_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(error)

    def _change(self, who: tuple[str, str], kind: str) -> Change:
        chance = self._random
        if kind == "switch":
            target, action = f"posts/p{chance.randrange(5)}", "add"
        else:
            target, action = chance.choice(TARGETS), kind
        # Mostly UUIDv7, as recommended, and some ids without a time.
        op_id = str(uuid_utils.uuid7()) if chance.random() < 0.9 else f"op-{chance.getrandbits(64):x}"
        return Change(op_id, who[0], target, who[1], "" if action == "clear" else chance.choice(EMOJIS), action)

    async def _repeated(self, change: Change, copies: int) -> None:
        if copies > 1:
            # Duplicates: sent at once or later, through any client.
            spread = [self._random.uniform(0, self._spread) for _ in range(copies - 1)]
            await asyncio.gather(
                self._repeat_until_final(change, 0.0), *(self._repeat_until_final(change, later) for later in spread)
            )
        else:
            await self._repeat_until_final(change, 0.0)

    async def _repeat_until_final(self, change: Change, later: float) -> None:
        await asyncio.sleep(later)  # the load's own spread
        gives_up = self._random.random() < _GIVE_UP
        wait = _BACKOFF[0]
        while True:
            reply = await self._attempt(change)
            if reply is not None:
                self._count_reply(reply)
                if reply.final or (gives_up and reply.kind == "fail" and not reply.wait):
                    return
            if time.monotonic() > self._until:
                self.tally.gave_up += 1
                return
            pause = reply.wait if reply is not None and reply.wait else wait * self._random.uniform(0.5, 1.5)
            await asyncio.sleep(pause)  # as a client backs off
            wait = min(wait * 2, _BACKOFF[1])

    async def _attempt(self, change: Change) -> Reply | None:
        ws_clients = self._ws_clients.get((change.tenant, change.user))
        if ws_clients:
            return await self._random.choice(ws_clients).change(change)
        return await self._random.choice(self._grpc_clients).change(change)

    async def _batch(self, changes: list[Change]) -> None:
        wait = _BACKOFF[0]
        while changes:
            replies = await self._random.choice(self._grpc_clients).batch(changes)
            for reply in replies:
                self._count_reply(reply)
            changes = [change for change, reply in zip(changes, replies, strict=True) if not reply.final]
            if changes and time.monotonic() > self._until:
                self.tally.gave_up += len(changes)
                return
            if changes:
                await asyncio.sleep(wait * self._random.uniform(0.5, 1.5))  # as a client backs off
                wait = min(wait * 2, _BACKOFF[1])

    def _count_reply(self, reply: Reply) -> None:
        if reply.kind == "ok":
            self.tally.acked += 1
            return
        code = str(reply.result.get("code") or "")
        self.tally.reasons[f"{code} {reply.result.get('reason', '')}".strip()] += 1
        if code in UNEXPECTED_CODES:
            self.tally.unexpected[f"{code} {reply.result.get('message', '')}".strip()] += 1
