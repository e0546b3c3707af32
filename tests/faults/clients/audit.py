"""Reads records and counts from all nodes: continuously during a run, and completely at its end."""

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
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.faults.checks.final_state import FinalState, VersionedCounts
from tests.faults.checks.history import Recorder
from tests.faults.checks.model import Key
from tests.faults.clients.grpc_clients import server_error
from tests.faults.clients.load import TARGETS, TENANTS
from tests.faults.clients.ws_clients import WsClient
from tests.faults.system.backends import Backends

_SECONDS = 8.0


class Auditor:
    """Reads from nodes by name through gRPC stubs."""

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

    async def read_continuously(self, users: Sequence[tuple[str, str]], seed: int, pause: float = 0.05) -> None:
        """Reads counts and own reactions at the latest seen versions, until it is cancelled."""
        chance = random.Random(seed)
        known: dict[Key, int] = {}
        while True:
            tenant, user = chance.choice(users)
            targets = chance.sample(TARGETS, 3)
            name = chance.choice(list(self._counters))
            found = await self._counts(name, tenant, targets, {one: known.get((tenant, one), 0) for one in targets})
            for target, (version, _) in (found or {}).items():
                known[tenant, target] = max(version, known.get((tenant, target), 0))
            name = chance.choice(list(self._reactions))
            for target, version in (await self._own(name, tenant, user, targets)).items():
                known[tenant, target] = max(version, known.get((tenant, target), 0))
            await asyncio.sleep(pause)  # the pace of the readers

    async def read_final_state(
        self, users: Sequence[tuple[str, str]], ws_clients: Sequence[WsClient], *, allow_lag: bool
    ) -> FinalState:
        """Reads the state of all nodes; raises grpc.aio.AioRpcError if a node does not answer.

        `allow_lag`: counts may lag the records.
        """
        state = FinalState()
        for name in self._reactions:
            found = await self._tally(name)
            state.counts[f"records of {name}"] = found
            state.tallies = state.tallies or found
        stub = next(iter(self._reactions.values()))
        for tenant, user in users:
            answer = await stub.BatchGetOwnReactions(
                pb.BatchGetOwnReactionsRequest(targets=TARGETS), metadata=self._metadata(tenant, user), timeout=_SECONDS
            )
            for own in answer.own_reactions:
                state.own[tenant, own.target, user] = tuple(own.emojis)
        for tenant, target in state.tallies:
            state.reactors[tenant, target] = await self._reactors(stub, tenant, target)
        for name in self._counters:
            state.counts[name] = await self._final_counts(name, state.tallies, allow_lag)
        if self._backends is not None:
            state.counts["redis"] = await asyncio.to_thread(self._backends.counts, list(state.tallies))
        for client in ws_clients:
            state.counts[f"last push to {client.name}"] = {
                (client.tenant, topic): client.last_counts.get(topic, (0, {}))
                for topic in client.topics
                if not topic.startswith("users/") and (client.tenant, topic) in state.tallies
            }
        return state

    async def _tally(self, name: str) -> dict[Key, VersionedCounts]:
        found: dict[Key, VersionedCounts] = {}
        page = tally_pb.TallyReactionsRequest(page_size=500)
        while True:
            answer = await self._reactions[name].TallyReactions(
                page, metadata=self._metadata("default"), timeout=_SECONDS
            )
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
            answer = await stub.ListReactors(page, metadata=self._metadata(tenant, "auditor"), timeout=_SECONDS)
            found.update((one.user, one.emoji) for one in answer.reactors)
            if not answer.next_page_token:
                return frozenset(found)
            page.page_token = answer.next_page_token

    async def _final_counts(
        self, name: str, tallies: Mapping[Key, VersionedCounts], allow_lag: bool
    ) -> dict[Key, VersionedCounts]:
        found: dict[Key, VersionedCounts] = {}
        for tenant in TENANTS:
            least = {key[1]: version for key, (version, _) in tallies.items() if key[0] == tenant}
            if not least:
                continue
            versions = [] if allow_lag else list(least.values())
            request = counter_pb.GetCountsRequest(targets=list(least), min_versions=versions)
            answer = await self._counters[name].GetCounts(
                request, metadata=self._metadata(tenant, "auditor"), timeout=_SECONDS
            )
            for one in answer.counts:
                found[tenant, one.target] = (one.version, {each.emoji: each.count for each in one.reactions})
        return found

    async def _counts(
        self, name: str, tenant: str, targets: Sequence[str], least: Mapping[str, int]
    ) -> dict[str, VersionedCounts] | None:
        number = f"read-{next(self._numbers)}"
        args = {"tenant": tenant, "min_versions": least}
        self._recorder.write("reader", "invoke", "counts", op_id=number, args=args, connection=name)
        request = counter_pb.GetCountsRequest(targets=targets, min_versions=[least[one] for one in targets])
        try:
            answer = await self._counters[name].GetCounts(request, metadata=self._metadata(tenant, "reader"), timeout=2)
        except grpc.aio.AioRpcError as error:
            self._record_failure("counts", number, name, error)
            return None
        found: dict[str, VersionedCounts] = {}
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
                request, metadata=self._metadata(tenant, user), timeout=2
            )
        except grpc.aio.AioRpcError as error:
            self._record_failure("own", number, name, error)
            return {}
        shown = {one.target: {"version": one.version, "emojis": list(one.emojis)} for one in answer.own_reactions}
        self._recorder.write("reader", "ok", "own", op_id=number, result={"targets": shown}, connection=name)
        return {one.target: one.version for one in answer.own_reactions}

    def _record_failure(self, what: str, number: str, name: str, error: grpc.aio.AioRpcError) -> None:
        found = server_error(error)
        result = {"code": error.code().name, "reason": found.reason if found else ""}
        self._recorder.write("reader", "fail", what, op_id=number, result=result, connection=name)

    def _metadata(self, tenant: str, user: str = "") -> tuple[tuple[str, str], ...]:
        own = ("authorization", f"Bearer {self._tokens[tenant]}")
        return (own, ("plaudit-user", user)) if user else (own,)
