"""Load from streams of batches, that goes on over lost servers, and the model its outcomes are checked against."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from kit.errors import remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_pb2
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit_client import Client

EMOJIS = ("👍", "❤", "😆", "😮", "🎉")
SINGLE_CHOICE = ("posts", "comments")
WINDOW = 4  # batches in flight on a stream
Batch = list[reaction_pb2.Change]


@dataclass(frozen=True, slots=True)
class Toggle:
    """One toggle, as asked for and as acknowledged."""

    user: str
    target: str
    emoji: str
    op_id: str
    on: bool
    version: int


def after(toggles: Iterable[Toggle]) -> dict[str, Counter[str]]:
    """Counts by target after all toggles; raises AssertionError where an outcome cannot be explained.

    Toggles of a target are made in the order of their versions, each with another version; the effect of one follows
    from what the user had before it.
    """
    held: dict[tuple[str, str], set[str]] = {}
    counts: dict[str, Counter[str]] = {}
    seen: set[tuple[str, int]] = set()
    for toggle in sorted(toggles, key=lambda toggle: (toggle.target, toggle.version)):
        assert (toggle.target, toggle.version) not in seen, f"two changes have one version: {toggle}"
        seen.add((toggle.target, toggle.version))
        mine = held.setdefault((toggle.target, toggle.user), set())
        assert toggle.on == (toggle.emoji not in mine), f"lost or doubled before {toggle}; held were {mine}"
        count = counts.setdefault(toggle.target, Counter())
        if toggle.on and toggle.target.partition("/")[0] in SINGLE_CHOICE:
            count.subtract(mine)
            mine.clear()
        (mine.add if toggle.on else mine.discard)(toggle.emoji)
        count[toggle.emoji] += 1 if toggle.on else -1
    return {target: +count for target, count in counts.items()}


class Load:
    """Toggles of many users over one stream at a time, in batches, at a rate; what is unanswered goes again."""

    def __init__(
        self, address: str, token: str, targets: Sequence[str], users: int, *, rate: int, batch: int, seed: int
    ) -> None:
        self._address = address
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._targets = targets
        self._users = users
        self._seconds_a_batch = batch / rate
        self._size = batch
        self._random = random.Random(seed)
        self._finishing = False
        self._again: deque[Batch] = deque()
        self._flying: deque[Batch] = deque()
        self.toggles: list[Toggle] = []
        """What was acknowledged."""
        self.resent = 0
        """Taps sent again because their outcome was not known."""

    @property
    def in_flight(self) -> int:
        """Batches sent and not yet answered."""
        return len(self._flying)

    def finish(self) -> None:
        """Ends once everything sent has been acknowledged."""
        self._finishing = True

    async def run(self) -> None:
        """Continues until it is finished; raises AssertionError where a change is refused."""
        while self._again or self._flying or not self._finishing:
            async with grpc.aio.insecure_channel(self._address) as channel:
                await asyncio.wait_for(channel.channel_ready(), 60)
                await self._one_stream(pb_grpc.ReactionServiceStub(channel))
            self.resent += sum(map(len, self._flying))
            self._again.extendleft(reversed(self._flying))
            self._flying.clear()

    async def _one_stream(self, stub: Any) -> None:
        call = stub.StreamReactions(metadata=self._metadata)
        places = asyncio.Semaphore(WINDOW)
        writing = asyncio.create_task(self._write(call, places))
        try:
            while (answer := await call.read()) is not grpc.aio.EOF:
                self._answered(self._flying.popleft(), answer)
                places.release()
        except grpc.aio.AioRpcError as error:
            # Our own gRPC says INTERNAL where a write meets the end of its stream before a read does.
            if error.code() is not grpc.StatusCode.UNAVAILABLE and error.details() != "Internal error from Core":
                raise
        finally:
            call.cancel()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)  # its stream is gone, which is all it can say

    async def _write(self, call: Any, places: asyncio.Semaphore) -> None:
        due = time.monotonic()
        while self._again or not self._finishing:
            await places.acquire()
            if self._again:
                batch = self._again.popleft()
            else:
                due = max(due + self._seconds_a_batch, time.monotonic() - 1)
                await asyncio.sleep(due - time.monotonic())  # the pace of the load
                batch = [self._toggle() for _ in range(self._size)]
            self._flying.append(batch)
            await call.write(pb.StreamReactionsRequest(changes=batch))
        await call.done_writing()

    def _toggle(self) -> reaction_pb2.Change:
        pick = self._random
        return reaction_pb2.Change(
            target=pick.choice(self._targets),
            emoji=pick.choice(EMOJIS),
            action=reaction_pb2.ACTION_TOGGLE,
            op_id=f"{pick.getrandbits(128):032x}",
            user=f"u{pick.randrange(self._users)}",
        )

    def _answered(self, batch: Batch, answer: pb.StreamReactionsResponse) -> None:
        unknown: Batch = []
        for change, outcome in zip(batch, answer.outcomes, strict=True):
            if outcome.HasField("error"):
                error = remote_error(outcome.error)
                assert error.code is grpc.StatusCode.UNAVAILABLE, error
                unknown.append(change)
                continue
            self.toggles.append(
                Toggle(change.user, change.target, change.emoji, change.op_id, outcome.on, outcome.version)
            )
        if unknown:
            self.resent += len(unknown)
            self._again.append(unknown)


class RepeatingUser:
    """A user with a phone whose client repeats an operation over lost sockets."""

    def __init__(self, client: Client, targets: Sequence[str]) -> None:
        self._client = client
        self._targets = targets
        self.toggles: list[Toggle] = []

    async def run(self, finishing: asyncio.Event) -> None:
        count = 0
        while not finishing.is_set():
            count += 1
            target, emoji = self._targets[count % len(self._targets)], EMOJIS[count % len(EMOJIS)]
            op_id = f"{self._client.user}-{count}"
            outcome = await self._client.toggle(target, emoji, op_id=op_id, timeout=60, wait_for_rate_limit=True)
            self.toggles.append(Toggle(self._client.user, target, emoji, op_id, outcome.on, outcome.version))


@asynccontextmanager
async def running(*works: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Runs in the background; a failure fails the block's `alive`, and what still runs at its end is cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reached(tasks: Sequence[asyncio.Task[None]], holds: Callable[[], bool], seconds: float) -> None:
    """Waits for a condition while the tasks go on; raises what one of them fails with."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not reached in time"
        done, _ = await asyncio.wait(tasks, timeout=0.02, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
