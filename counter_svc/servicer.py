"""The rpcs of the counter: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc

from counter_svc import codec
from counter_svc.service import Counters
from kit.access.errors import MessageNotFound
from kit.access.targets import TargetAccess
from kit.auth.caller import Caller, caller
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
# An error must be sent before the caller's deadline, so that the caller learns the reason.
_MARGIN_SECONDS = 0.02


class CounterServicer(counter_service_pb2_grpc.CounterServiceServicer):
    """See the contract."""

    def __init__(self, counts: Counters, targets: TargetAccess) -> None:
        self._counts = counts
        self._targets = targets

    async def GetReactionCounts(
        self, request: pb.GetReactionCountsRequest, context: Context | None
    ) -> pb.GetReactionCountsResponse:
        """See the contract."""
        who = caller()
        key = codec.key_from_pb(request, who)
        return await self._one(who.user, key, request.min_version, _time_left(context))

    async def GetCounts(self, request: pb.GetCountsRequest, context: Context | None) -> pb.GetCountsResponse:
        """See the contract."""
        who = caller()
        keys, min_versions = codec.keys_from_pb(request, who)
        return await self._many(who.user, keys, min_versions, _time_left(context))

    async def WatchCounts(
        self, request: pb.WatchCountsRequest, context: Context
    ) -> AsyncIterator[pb.WatchCountsResponse]:
        """See the contract."""
        who = caller()
        keys = codec.watched_from_pb(request, who)
        if len(await self._targets.hidden(who.user, keys)) == len(set(keys)):
            raise MessageNotFound("there are no such messages", field="targets")
        async for changes in self._counts.watch(keys):
            # Each time, because the user may be a member no more.
            hidden = await self._targets.hidden(who.user, [key for key, _ in changes])
            visible = [change for change in changes if change[0] not in hidden] if hidden else changes
            if visible:
                yield codec.changes_to_pb(visible)

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
            is_open = self._targets.is_open(who.user, [key])
            ready = self._counts.ready([key], [request.min_version]) if is_open else None
            return (
                codec.reaction_counts_to_pb(ready[0]) if ready else self._one(who.user, key, request.min_version, None)
            )

        return [_attempted(answer, *call) for call in calls]

    async def many_counts(
        self, calls: Sequence[tuple[pb.GetCountsRequest, Caller]]
    ) -> Sequence[pb.GetCountsResponse | Exception | Awaitable[pb.GetCountsResponse]]:
        """Many calls of `GetCounts` at once; calls that have to wait are returned as awaitables."""

        def answer(request: pb.GetCountsRequest, who: Caller) -> Any:
            keys, min_versions = codec.keys_from_pb(request, who)
            ready = self._counts.ready(keys, min_versions) if self._targets.is_open(who.user, keys) else None
            return codec.counts_to_pb(keys, ready) if ready else self._many(who.user, keys, min_versions, None)

        return [_attempted(answer, *call) for call in calls]

    async def _one(
        self, user: str, key: TargetKey, min_version: int, time_left: float | None
    ) -> pb.GetReactionCountsResponse:
        if not self._targets.is_open(user, [key]):
            await self._targets.require(user, key)
        (value,) = await self._counts.get([key], [min_version], time_left)
        return codec.reaction_counts_to_pb(value)

    async def _many(
        self, user: str, keys: Sequence[TargetKey], min_versions: Sequence[int], time_left: float | None
    ) -> pb.GetCountsResponse:
        hidden = () if self._targets.is_open(user, keys) else await self._targets.hidden(user, keys)
        if hidden:
            visible = [index for index, key in enumerate(keys) if key not in hidden]
            keys = [keys[index] for index in visible]
            min_versions = [min_versions[index] for index in visible] if min_versions else ()
        return codec.counts_to_pb(keys, await self._counts.get(keys, min_versions, time_left) if keys else ())


def _attempted(answer: Callable[..., Any], request: Any, who: Caller) -> Any:
    try:
        return answer(request, who)
    except Exception as error:
        return error


def _time_left(context: Context | None) -> float | None:
    # Calls of a call stream have no context: the stream cancels the wait, and errors.py maps that.
    left = context.time_remaining() if context is not None else None
    return None if left is None else max(0.0, left - _MARGIN_SECONDS)
