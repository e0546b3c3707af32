"""`NodeService`: how fan-out reaches the sockets of this node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from gateway.errors import Draining
from gateway.node import Node
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.gateway.v1 import node_service_pb2_grpc


class NodeServicer(node_service_pb2_grpc.NodeServiceServicer):
    """See `NodeService` in the contract."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def Deliver(
        self, request_iterator: AsyncIterator[pb.DeliverRequest], context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[pb.DeliverResponse]:
        """Answers each batch when it is in the sockets' queues, which is what slows the sender down."""
        hub = self._node.hub
        async for request in request_iterator:
            sockets = 0
            for delivery in request.deliveries:
                sockets += await hub.deliver(delivery)
            yield pb.DeliverResponse(sockets=sockets)
            if self._node.draining and not len(self._node):
                raise Draining("the last socket of this node is gone")
