"""Asks everyone who keeps records or counts what they have, and keeps asking about counts while a run goes on."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.faults.backends import Backends
from tests.faults.doors import status_of
from tests.faults.history import Recorder
from tests.faults.load import TARGETS, TENANTS
from tests.faults.model import Key
from tests.faults.phone import Phone
from tests.faults.readings import Counted, Readings

_SECONDS = 8.0


class Auditor:
    """Asks nodes through their stubs; knows each by name."""

    def __init__(
        self,
        reactions: Mapping[str, grpc.aio.Channel],
        counters: Mapping[str, grpc.aio.Channel],
        tokens: Mapping[str, str],
        recorder: Recorder,
        backends: Backends | None,
    ) -> None:
        self._backends = backends
        self._reactions: dict[str, Any] = {
            name: pb_grpc.ReactionServiceStub(channel) for name, channel in reactions.items()
        }
        self._counters: dict[str, Any] = {
            name: counter_grpc.CounterServiceStub(channel) for name, channel in counters.items()
        }
        self._tokens = tokens
        self._recorder = recorder
        self._numbers = itertools.count(1)

    async def read_on(self, people: Sequence[tuple[str, str]], seed: int, pause: float = 0.05) -> None:
        """Reads counts and what people hold, at versions just seen, until it is cancelled."""
        chance = random.Random(seed)
        known: dict[Key, int] = {}
        while True:
            tenant, user = chance.choice(people)
            targets = chance.sample(TARGETS, 3)
            name = chance.choice(list(self._counters))
            found = await self._counts(name, tenant, targets, {one: known.get((tenant, one), 0) for one in targets})
            for target, (version, _) in (found or {}).items():
                known[tenant, target] = max(version, known.get((tenant, target), 0))
            name = chance.choice(list(self._reactions))
            for target, version in (await self._own(name, tenant, user, targets)).items():
                known[tenant, target] = max(version, known.get((tenant, target), 0))
            await asyncio.sleep(pause)  # the pace of the readers

    async def final(self, people: Sequence[tuple[str, str]], phones: Sequence[Phone], *, late: bool) -> Readings:
        """What everyone has now; raises grpc.aio.AioRpcError where somebody does not answer.

        `late`: counts are taken as they are, however far behind the records.
        """
        readings = Readings()
        for name in self._reactions:
            found = await self._tally(name)
            readings.counts[f"records of {name}"] = found
            readings.tallies = readings.tallies or found
        stub = next(iter(self._reactions.values()))
        for tenant, user in people:
            answer = await stub.BatchGetOwnReactions(
                pb.BatchGetOwnReactionsRequest(targets=TARGETS), metadata=self._who(tenant, user), timeout=_SECONDS
            )
            for own in answer.own_reactions:
                readings.own[tenant, own.target, user] = tuple(own.emojis)
        for tenant, target in readings.tallies:
            readings.reactors[tenant, target] = await self._reactors(stub, tenant, target)
        for name in self._counters:
            readings.counts[name] = await self._final_counts(name, readings.tallies, late)
        if self._backends is not None:
            readings.counts["redis"] = await asyncio.to_thread(self._backends.counts, list(readings.tallies))
        for phone in phones:
            readings.counts[f"last push to {phone.name}"] = {
                (phone.tenant, topic): phone.shown.get(topic, (0, {}))
                for topic in phone.topics
                if not topic.startswith("users/") and (phone.tenant, topic) in readings.tallies
            }
        return readings

    async def _tally(self, name: str) -> dict[Key, Counted]:
        found: dict[Key, Counted] = {}
        page = pb.TallyReactionsRequest(page_size=500)
        while True:
            answer = await self._reactions[name].TallyReactions(page, metadata=self._who("default"), timeout=_SECONDS)
            for tally in answer.tallies:
                counts = {one.emoji: one.count for one in tally.counts.reactions}
                found[tally.tenant, tally.counts.target] = (tally.counts.version, counts)
            if not answer.next_page_token:
                return found
            page.page_token = answer.next_page_token

    async def _reactors(self, stub: Any, tenant: str, target: str) -> frozenset[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        page = pb.ListReactorsRequest(target=target, page_size=100)
        while True:
            answer = await stub.ListReactors(page, metadata=self._who(tenant, "auditor"), timeout=_SECONDS)
            found.update((one.user, one.emoji) for one in answer.reactors)
            if not answer.next_page_token:
                return frozenset(found)
            page.page_token = answer.next_page_token

    async def _final_counts(self, name: str, tallies: Mapping[Key, Counted], late: bool) -> dict[Key, Counted]:
        found: dict[Key, Counted] = {}
        for tenant in TENANTS:
            least = {key[1]: version for key, (version, _) in tallies.items() if key[0] == tenant}
            if not least:
                continue
            versions = [] if late else list(least.values())
            request = counter_pb.GetCountsRequest(targets=list(least), min_versions=versions)
            answer = await self._counters[name].GetCounts(
                request, metadata=self._who(tenant, "auditor"), timeout=_SECONDS
            )
            for one in answer.counts:
                found[tenant, one.target] = (one.version, {each.emoji: each.count for each in one.reactions})
        return found

    async def _counts(
        self, name: str, tenant: str, targets: Sequence[str], least: Mapping[str, int]
    ) -> dict[str, Counted] | None:
        number = f"read-{next(self._numbers)}"
        args = {"tenant": tenant, "min_versions": least}
        self._recorder.write("reader", "invoke", "counts", op_id=number, args=args, connection=name)
        request = counter_pb.GetCountsRequest(targets=targets, min_versions=[least[one] for one in targets])
        try:
            answer = await self._counters[name].GetCounts(request, metadata=self._who(tenant, "reader"), timeout=2)
        except grpc.aio.AioRpcError as error:
            self._failed("counts", number, name, error)
            return None
        found: dict[str, Counted] = {}
        for one in answer.counts:
            found[one.target] = (one.version, {each.emoji: each.count for each in one.reactions})
        shown = {target: {"version": version, "counts": counts} for target, (version, counts) in found.items()}
        self._recorder.write("reader", "ok", "counts", op_id=number, result={"targets": shown}, connection=name)
        return found

    async def _own(self, name: str, tenant: str, user: str, targets: Sequence[str]) -> dict[str, int]:
        number = f"read-{next(self._numbers)}"
        args = {"tenant": tenant, "user": user}
        self._recorder.write("reader", "invoke", "own", op_id=number, args=args, connection=name)
        request = pb.BatchGetOwnReactionsRequest(targets=targets)
        try:
            answer = await self._reactions[name].BatchGetOwnReactions(
                request, metadata=self._who(tenant, user), timeout=2
            )
        except grpc.aio.AioRpcError as error:
            self._failed("own", number, name, error)
            return {}
        shown = {one.target: {"version": one.version, "emojis": list(one.emojis)} for one in answer.own_reactions}
        self._recorder.write("reader", "ok", "own", op_id=number, result={"targets": shown}, connection=name)
        return {one.target: one.version for one in answer.own_reactions}

    def _failed(self, what: str, number: str, name: str, error: grpc.aio.AioRpcError) -> None:
        said = status_of(error)
        result = {"code": error.code().name, "reason": said.reason if said else ""}
        self._recorder.write("reader", "fail", what, op_id=number, result=result, connection=name)

    def _who(self, tenant: str, user: str = "") -> tuple[tuple[str, str], ...]:
        own = ("authorization", f"Bearer {self._tokens[tenant]}")
        return (own, ("plaudit-user", user)) if user else (own,)
