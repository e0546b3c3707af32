"""The servicer of `NodeService`: pushes of fan-out, and sessions that move to other nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from gateway.errors import Draining
from gateway.fanout.codec import deliveries_from_pb
from gateway.node import Node
from gateway.sessions.codec import released_to_pb
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.gateway.v1 import node_service_pb2_grpc


class NodeServicer(node_service_pb2_grpc.NodeServiceServicer):
    """See `NodeService` in the contract."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def Deliver(
        self, request_iterator: AsyncIterator[pb.DeliverRequest], context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[pb.DeliverResponse]:
        """Answers each batch after its pushes are in the queues of the sockets: backpressure for the sender."""
        hub, durable = self._node.hub, self._node.durable
        stream, slice_size = object(), self._node.config.slice
        try:
            async for request in request_iterator:
                await self._node.pause_detector.wait_until_safe()
                durable.stream_continues(stream, request.sequence)
                sockets = 0
                for message in request.deliveries:
                    for delivery in deliveries_from_pb(message, slice_size):
                        sockets += await hub.deliver(stream, delivery)
                yield pb.DeliverResponse(sockets=sockets)
                if self._node.draining and self._node.is_empty:
                    raise Draining("the last session of this node is gone")
        finally:
            durable.stream_ended(stream)

    async def TakeOver(
        self, request: pb.TakeOverRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.TakeOverResponse:
        """See the contract."""
        released = await self._node.release_session(
            request.tenant, request.user, request.session_id, to_node=request.node_id
        )
        return released_to_pb(released)

    async def EraseSessions(
        self, request: pb.EraseSessionsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.EraseSessionsResponse:
        """See the contract."""
        ended = self._node.sessions.end_all_of(request.tenant, request.user)
        return pb.EraseSessionsResponse(erased=ended, done=True)
