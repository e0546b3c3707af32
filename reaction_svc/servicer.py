"""The rpcs of the service: each decodes its request, calls the service and encodes the response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc

from kit.auth.caller import Caller, caller
from kit.errors import Problem, Stopping
from kit.rpc.server import BatchHandler
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from reaction_svc import codec
from reaction_svc.domain import Op, Outcome
from reaction_svc.erasure import Erasure
from reaction_svc.export import Export
from reaction_svc.service import ChangeResults, Reactions

Context = grpc.aio.ServicerContext[Any, Any]
_Response = TypeVar("_Response")
_Encode = Callable[[Outcome, codec.ReactionCounts], _Response]


class ReactionServicer(reaction_service_pb2_grpc.ReactionServiceServicer):
    """See the contract. A stream has up to `batches_in_flight` batches in progress."""

    def __init__(self, reactions: Reactions, erasure: Erasure, export: Export, batches_in_flight: int) -> None:
        self._reactions = reactions
        self._erasure = erasure
        self._export = export
        self._batches_in_flight = batches_in_flight
        self._draining = asyncio.Event()

    @property
    def batches(self) -> Mapping[str, BatchHandler]:
        """Handlers that execute many calls together: see `kit.rpc.server.Hosted`."""
        return {"ToggleReaction": self._toggle_many, "SetReaction": self._set_many, "ClearReactions": self._clear_many}

    def drain(self) -> None:
        """Ends each stream once the batches it has read are answered."""
        self._draining.set()

    async def ToggleReaction(
        self, request: changes_pb.ToggleReactionRequest, context: Context | None
    ) -> changes_pb.ToggleReactionResponse:
        """See the contract."""
        return await self._one(codec.toggle_from_pb(request, caller()), codec.toggled_to_pb)

    async def SetReaction(
        self, request: changes_pb.SetReactionRequest, context: Context | None
    ) -> changes_pb.SetReactionResponse:
        """See the contract."""
        return await self._one(codec.set_from_pb(request, caller()), codec.set_to_pb)

    async def ClearReactions(
        self, request: changes_pb.ClearReactionsRequest, context: Context | None
    ) -> changes_pb.ClearReactionsResponse:
        """See the contract."""
        return await self._one(codec.clear_from_pb(request, caller()), codec.cleared_to_pb)

    async def BatchChangeReactions(
        self, request: changes_pb.BatchChangeReactionsRequest, context: Context | None
    ) -> changes_pb.BatchChangeReactionsResponse:
        """See the contract."""
        who = caller()
        decoded_ops = codec.changes_from_pb(request.changes, who)
        return codec.batch_to_pb(await self._reactions.change(decoded_ops, [who.unlimited] * len(decoded_ops)))

    async def StreamReactions(
        self, request_iterator: AsyncIterator[changes_pb.StreamReactionsRequest], context: Context
    ) -> AsyncIterator[changes_pb.StreamReactionsResponse]:
        """See the contract."""
        window = _BatchWindow(self._batches_in_flight)
        reader = asyncio.create_task(self._read(request_iterator, caller(), window))
        drainer = asyncio.create_task(self._cancel_on_drain(reader))
        try:
            while (working := await window.batches.get()) is not None:
                yield codec.stream_to_pb(await working)
                window.slots.release()
            if reader.cancelled():
                raise Stopping("this server is about to stop")
            await reader  # raises the error of the reader
        finally:
            drainer.cancel()
            reader.cancel()

    async def BatchGetOwnReactions(
        self, request: pb.BatchGetOwnReactionsRequest, context: Context | None
    ) -> pb.BatchGetOwnReactionsResponse:
        """See the contract."""
        who = caller()
        return codec.own_to_pb(await self._reactions.own(who.tenant, who.user, request.targets))

    async def ListReactors(self, request: pb.ListReactorsRequest, context: Context | None) -> pb.ListReactorsResponse:
        """See the contract."""
        who = caller()
        target = codec.target_from_pb(request)
        page, token = await self._reactions.reactors(
            who.tenant, who.user, who.service, target, request.emoji, request.page_size, request.page_token
        )
        return codec.reactors_to_pb(page, token)

    async def BatchGetTargetCounts(
        self, request: pb.BatchGetTargetCountsRequest, context: Context | None
    ) -> pb.BatchGetTargetCountsResponse:
        """See the contract."""
        return codec.heads_to_pb(await self._reactions.heads(codec.target_keys_from_pb(request, caller())))

    async def TallyReactions(
        self, request: tally_pb.TallyReactionsRequest, context: Context | None
    ) -> tally_pb.TallyReactionsResponse:
        """See the contract."""
        who = caller()
        tenant = codec.tallied_tenant_from_pb(request, who)
        if request.targets:
            return codec.tallies_to_pb(await self._reactions.tally(tenant, request.targets), "")
        return codec.tallies_to_pb(*await self._reactions.tally_all(who.service, request.page_size, request.page_token))

    async def ErasePerson(
        self, request: erasure_pb.ErasePersonRequest, context: Context | None
    ) -> erasure_pb.ErasePersonResponse:
        """See the contract."""
        erased, is_done = await self._erasure.person(*codec.erased_user_from_pb(request, caller()))
        return erasure_pb.ErasePersonResponse(erased=erased, done=is_done)

    async def ExportReactions(
        self, request: erasure_pb.ExportReactionsRequest, context: Context | None
    ) -> erasure_pb.ExportReactionsResponse:
        """See the contract."""
        return codec.export_to_pb(*await self._export.page(request.tenant, request.user, request.page_token))

    async def EraseTarget(
        self, request: erasure_pb.EraseTargetRequest, context: Context | None
    ) -> erasure_pb.EraseTargetResponse:
        """See the contract."""
        who = caller()
        key = codec.erased_target_from_pb(request, who)
        erased, token = await self._erasure.target(who.service, key, request.page_token)
        return erasure_pb.EraseTargetResponse(erased=erased, next_page_token=token)

    async def _toggle_many(self, calls: Sequence[tuple[changes_pb.ToggleReactionRequest, Caller]]) -> Sequence[Any]:
        return await self._many(calls, codec.toggle_from_pb, codec.toggled_to_pb)

    async def _set_many(self, calls: Sequence[tuple[changes_pb.SetReactionRequest, Caller]]) -> Sequence[Any]:
        return await self._many(calls, codec.set_from_pb, codec.set_to_pb)

    async def _clear_many(self, calls: Sequence[tuple[changes_pb.ClearReactionsRequest, Caller]]) -> Sequence[Any]:
        return await self._many(calls, codec.clear_from_pb, codec.cleared_to_pb)

    async def _one(self, op: Op, encode: _Encode[_Response]) -> _Response:
        (outcome,), counts = await self._reactions.change([op], [caller().unlimited])
        if isinstance(outcome, Problem):
            raise outcome
        found = counts.get((op.tenant, op.target))
        return encode(outcome, codec.reactions_to_pb(found) if found is not None else ())

    async def _many(
        self, calls: Sequence[tuple[Any, Caller]], decode: Callable[[Any, Caller], Op], encode: _Encode[Any]
    ) -> Sequence[Any]:
        decoded_ops: list[Op | Problem] = []
        for request, who in calls:
            try:
                decoded_ops.append(decode(request, who))
            except Problem as problem:
                decoded_ops.append(problem)
        outcomes, counts = await self._reactions.change(decoded_ops, [who.unlimited for _, who in calls])
        # Once for all calls on a target.
        reactions = {key: codec.reactions_to_pb(found) for key, found in counts.items()}
        return [
            encode(outcome, reactions.get((decoded.tenant, decoded.target), ()))
            if isinstance(outcome, Outcome) and isinstance(decoded, Op)
            else outcome
            for decoded, outcome in zip(decoded_ops, outcomes, strict=True)
        ]

    async def _read(
        self, requests: AsyncIterator[changes_pb.StreamReactionsRequest], who: Caller, window: _BatchWindow
    ) -> None:
        try:
            async for request in requests:
                await window.slots.acquire()
                decoded_ops = codec.changes_from_pb(request.changes, who)
                # Tasks begin in the order of their creation, so batches reach the store in the order they were read.
                change = self._reactions.change(decoded_ops, [who.unlimited] * len(decoded_ops))
                window.batches.put_nowait(asyncio.create_task(change))
        finally:
            window.batches.put_nowait(None)

    async def _cancel_on_drain(self, reader: asyncio.Task[None]) -> None:
        await self._draining.wait()
        reader.cancel()


class _BatchWindow:
    """The batches of one stream in progress, in order; None after the last."""

    def __init__(self, size: int) -> None:
        self.slots = asyncio.Semaphore(size)
        self.batches: asyncio.Queue[asyncio.Task[ChangeResults] | None] = asyncio.Queue()
