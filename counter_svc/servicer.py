"""The rpcs of the counter: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc

from counter_svc import codec
from counter_svc.service import Counters
from kit.auth.caller import Caller, caller
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
# An error must be sent before the caller's deadline, so that the caller learns the reason.
_MARGIN_SECONDS = 0.02


class CounterServicer(counter_service_pb2_grpc.CounterServiceServicer):
    """See the contract."""

    def __init__(self, counts: Counters) -> None:
        self._counts = counts

    async def GetReactionCounts(
        self, request: pb.GetReactionCountsRequest, context: Context | None
    ) -> pb.GetReactionCountsResponse:
        """See the contract."""
        key = codec.key_from_pb(request, caller())
        return await self._one(key, request.min_version, _time_left(context))

    async def GetCounts(self, request: pb.GetCountsRequest, context: Context | None) -> pb.GetCountsResponse:
        """See the contract."""
        keys, min_versions = codec.keys_from_pb(request, caller())
        return await self._many(keys, min_versions, _time_left(context))

    async def WatchCounts(
        self, request: pb.WatchCountsRequest, context: Context
    ) -> AsyncIterator[pb.WatchCountsResponse]:
        """See the contract."""
        async for changes in self._counts.watch(codec.watched_from_pb(request, caller())):
            yield codec.changes_to_pb(changes)

    async def Rebuild(self, request: pb.RebuildRequest, context: Context | None) -> pb.RebuildResponse:
        """See the contract."""
        keys = codec.rebuilt_keys_from_pb(request, caller())
        return codec.rebuilt_to_pb(await self._counts.rebuild(keys, request.partitions))

    async def many_reaction_counts(
        self, calls: Sequence[tuple[pb.GetReactionCountsRequest, Caller]]
    ) -> Sequence[pb.GetReactionCountsResponse | Exception | Awaitable[pb.GetReactionCountsResponse]]:
        """Many calls of `GetReactionCounts` at once; calls that have to wait are returned as awaitables."""

        def answer(request: pb.GetReactionCountsRequest, who: Caller) -> Any:
            key = codec.key_from_pb(request, who)
            ready = self._counts.ready([key], [request.min_version])
            return codec.reaction_counts_to_pb(ready[0]) if ready else self._one(key, request.min_version, None)

        return [_attempted(answer, *call) for call in calls]

    async def many_counts(
        self, calls: Sequence[tuple[pb.GetCountsRequest, Caller]]
    ) -> Sequence[pb.GetCountsResponse | Exception | Awaitable[pb.GetCountsResponse]]:
        """Many calls of `GetCounts` at once; calls that have to wait are returned as awaitables."""

        def answer(request: pb.GetCountsRequest, who: Caller) -> Any:
            keys, min_versions = codec.keys_from_pb(request, who)
            ready = self._counts.ready(keys, min_versions)
            return codec.counts_to_pb(keys, ready) if ready else self._many(keys, min_versions, None)

        return [_attempted(answer, *call) for call in calls]

    async def _one(self, key: TargetKey, min_version: int, time_left: float | None) -> pb.GetReactionCountsResponse:
        (value,) = await self._counts.get([key], [min_version], time_left)
        return codec.reaction_counts_to_pb(value)

    async def _many(
        self, keys: Sequence[TargetKey], min_versions: Sequence[int], time_left: float | None
    ) -> pb.GetCountsResponse:
        return codec.counts_to_pb(keys, await self._counts.get(keys, min_versions, time_left))


def _attempted(answer: Callable[..., Any], request: Any, who: Caller) -> Any:
    try:
        return answer(request, who)
    except Exception as error:
        return error


def _time_left(context: Context | None) -> float | None:
    # Calls of a call stream have no context: the stream cancels the wait, and errors.py maps that.
    left = context.time_remaining() if context is not None else None
    return None if left is None else max(0.0, left - _MARGIN_SECONDS)
