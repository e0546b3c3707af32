"""The registry's rpcs: decode, call, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from kit.auth.caller import caller
from kit.errors import Invalid
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry import codec
from session_registry.elected import ElectedRegistry, session_owner
from session_registry.errors import NotAttached
from session_registry.service import Link, Registry


class SessionRegistryServicer(pb_grpc.SessionRegistryServiceServicer):
    """See the contract."""

    def __init__(self, elected: ElectedRegistry) -> None:
        self._elected = elected

    async def Attach(
        self, request_iterator: AsyncIterator[pb.AttachRequest], context: Any
    ) -> AsyncIterator[pb.AttachResponse]:
        """See the contract."""
        registry = self._elected.registry()
        first = await anext(aiter(request_iterator), None)
        if first is None:
            raise NotAttached("the first request must name the node", field="node")
        link = registry.attach(codec.node_from_pb(first), codec.update_from_pb(first))
        reader = asyncio.create_task(self._read(registry, request_iterator, link))
        try:
            while (response := await link.responses.next()) is not None:
                registry.check()
                yield codec.response_to_pb(response)
        finally:
            reader.cancel()
            registry.disconnected(link)  # does nothing where the node has left

    async def _read(self, registry: Registry, requests: AsyncIterator[pb.AttachRequest], link: Link) -> None:
        """Applies the updates of the node until it leaves; a failure ends the responses with it."""
        try:
            async for request in requests:
                if request.HasField("node"):
                    raise Invalid("only the first request names the node", field="node")
                if request.leaving:
                    registry.leave(link)
                    return
                registry.apply_update(link, codec.update_from_pb(request))
                await link.responses.wait_for_capacity()
        except Exception as error:
            link.responses.close(error)
        else:
            link.responses.close()

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        """See the contract."""
        registry = self._elected.registry()
        async with aclosing(registry.watch(topics=request.topics)) as changes:
            async for delta, synced in changes:
                registry.check()
                yield codec.delta_to_pb(delta, synced)

    async def GetSessions(self, request: pb.GetSessionsRequest, context: Any) -> pb.GetSessionsResponse:
        """See the contract."""
        return codec.found_to_pb(await self._elected.sessions_of(request.tenant, request.user))

    async def FindConnectedUsers(
        self, request: pb.FindConnectedUsersRequest, context: Any
    ) -> pb.FindConnectedUsersResponse:
        """See the contract."""
        return codec.connected_to_pb(*await self._elected.connected(codec.users_from_pb(request)))

    async def ExportSessions(self, request: pb.ExportSessionsRequest, context: Any) -> pb.ExportSessionsResponse:
        """See the contract."""
        return codec.export_to_pb(await self._elected.sessions_of(request.tenant, request.user))

    async def EndSessions(self, request: pb.EndSessionsRequest, context: Any) -> pb.EndSessionsResponse:
        """See the contract."""
        ended = await self._elected.end_sessions(caller(), request.device_id, request.all_except_device_id)
        return pb.EndSessionsResponse(ended=ended)

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        """See the contract."""
        tenant, user = session_owner(caller(), request.user)
        return codec.list_to_pb(await self._elected.sessions_of(tenant, user))
