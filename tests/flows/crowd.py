"""People who react, with the records and the log a reaction service would keep of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from kit.adapters.sqlite.event_log import SqliteLog
from kit.event_log.ports import Record
from kit.ledger.entry import EntryName
from kit.tenant_keys import TargetKey
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.events import Change, payload

TOPIC = "reactions"


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Waits until the condition holds; raises TimeoutError where it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for is seen from outside, and tells nobody
            await asyncio.sleep(0.001)


class Crowd:
    """The records of reactions, and one log record per `act`, in that order: the log lags."""

    def __init__(self, log: SqliteLog, seed: int = 1) -> None:
        self.log = log
        self.versions: Counter[TargetKey] = Counter()
        self.held: dict[TargetKey, set[tuple[str, str]]] = {}
        self.incarnation = "one"
        self._positions: Counter[int] = Counter()
        self._counts: dict[TargetKey, Counter[str]] = {}
        self._counts_at: dict[tuple[TargetKey, int], dict[str, int]] = {}
        self._random = random.Random(seed)

    def toggle(self, key: TargetKey, user: str, emoji: str) -> Change:
        """Changes the records; the event is still to be logged."""
        held = self.held.setdefault(key, set())
        on = (user, emoji) not in held
        held ^= {(user, emoji)}
        self.versions[key] += 1
        counts = self._counts.setdefault(key, Counter())
        counts[emoji] += 1 if on else -1
        self._counts_at[key, self.versions[key]] = dict(counts)
        return Change(*key, user, emoji if on else "", "" if on else emoji, self.versions[key])

    async def append(self, changes: Sequence[Change]) -> int:
        """Logs events in one entry."""
        return await self.log.append(TOPIC, self.next_name(), self.entry(changes))

    def restore(self) -> None:
        """The ledger is another one from now on, as after a restore from a backup."""
        self.incarnation += "'"
        self._positions.clear()

    def next_name(self, shard: int = 0) -> str:
        """The name of the next entry of a shard; every call takes one."""
        self._positions[shard] += 1
        return str(EntryName(self.incarnation, shard, self._positions[shard]))

    def entry(self, changes: Sequence[Change]) -> bytes:
        """An entry with the counts as the last of these changes left them."""
        counts: dict[TargetKey, dict[str, int]] = {}
        for change in changes:
            key = (change.tenant, change.target)
            counts[key] = self._counts_at.pop((key, change.version), {})
        return payload(changes, counts)

    def some(self, keys: Sequence[TargetKey], count: int, users: int = 50) -> list[Change]:
        """Toggles of random users on random targets."""
        pick = self._random
        return [self.toggle(pick.choice(keys), f"u{pick.randrange(users)}", pick.choice("👍❤😆")) for _ in range(count)]

    async def act(self, keys: Sequence[TargetKey], count: int, users: int = 50) -> int:
        """Random toggles, logged in one record; returns its position."""
        return await self.append(self.some(keys, count, users))

    def truth(self, key: TargetKey) -> tuple[int, dict[str, int]]:
        """What the records say of a target: version and counts."""
        return self.versions[key], dict(Counter(emoji for _, emoji in self.held.get(key, ())))


class StalledLog:
    """A log whose readers get nothing new until `listening` is set."""

    def __init__(self, log: SqliteLog, *, listening: bool = False, told: bool = True) -> None:
        self._log = log
        self._told = told
        self.listening = asyncio.Event()
        if listening:
            self.listening.set()

    def partitions(self, topic: str) -> int:
        """See `kit.event_log.ports.EventLog`."""
        return self._log.partitions(topic)

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """See `kit.event_log.ports.EventLog`."""
        return await self._log.read(topic, after, limit, partition) if self.listening.is_set() else []

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """See `kit.event_log.ports.EventLog`; never returns before that."""
        if not self._told:
            await asyncio.Event().wait()
        await self.listening.wait()
        await self._log.wait(topic, after, partition)

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """See `kit.event_log.ports.EventLog`."""
        return await self._log.bounds(topic, partition)

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """See `kit.event_log.ports.EventLog`."""
        await self._log.trim(topic, before, partition)

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """See `kit.event_log.ports.Appender`."""
        return await self._log.append(topic, key, payload, partition)

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """See `kit.event_log.ports.ConsumerOffsets`."""
        return await self._log.committed(group, topic, partition)

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """See `kit.event_log.ports.ConsumerOffsets`."""
        await self._log.commit(group, topic, position, partition)

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """See `kit.event_log.ports.ConsumerOffsets`."""
        self._log.leave(group, topic, partition)


class CrowdServicer(pb_grpc.ReactionServiceServicer):
    """Knows a crowd's heads and counts its records, as the reaction service does."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    async def TallyReactions(
        self, request: tally_pb.TallyReactionsRequest, context: object
    ) -> tally_pb.TallyReactionsResponse:
        """See the contract; one target per page, so that paging shows."""
        response = tally_pb.TallyReactionsResponse()
        if request.targets:
            for target in request.targets:
                self._add(response, (request.tenant, target))
            return response
        keys = sorted(self._crowd.held)
        at = int(request.page_token or 0)
        if at < len(keys):
            self._add(response, keys[at])
        if at + 1 < len(keys):
            response.next_page_token = str(at + 1)
        return response

    async def BatchGetTargetCounts(
        self, request: pb.BatchGetTargetCountsRequest, context: object
    ) -> pb.BatchGetTargetCountsResponse:
        """See the contract."""
        response = pb.BatchGetTargetCountsResponse()
        for key in zip(request.tenants, request.targets, strict=True):
            version, counts = self._crowd.truth(key)
            row = response.counts.add(target=key[1], version=version)
            for emoji, count in counts.items():
                row.reactions.add(emoji=emoji, count=count)
        return response

    def _add(self, response: tally_pb.TallyReactionsResponse, key: TargetKey) -> None:
        version, counts = self._crowd.truth(key)
        tally = response.tallies.add(tenant=key[0])
        tally.counts.target = key[1]
        tally.counts.version = version
        for emoji, count in counts.items():
            tally.counts.reactions.add(emoji=emoji, count=count)
