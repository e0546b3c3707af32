"""The servicers of what gateways and other services ask of conversations."""

from __future__ import annotations

from typing import Any

import grpc

from message_svc.codec import access, pending, requests
from message_svc.service.access import ConversationAccesses
from message_svc.service.deliveries import Deliveries
from message_svc.service.pending import PendingMessages
from plaudit.message.v1 import access_service_pb2 as access_pb
from plaudit.message.v1 import access_service_pb2_grpc, delivery_service_pb2_grpc
from plaudit.message.v1 import delivery_service_pb2 as delivery_pb

Context = grpc.aio.ServicerContext[Any, Any] | None


class DeliveryServicer(delivery_service_pb2_grpc.DeliveryServiceServicer):
    """See the contract."""

    def __init__(self, deliveries: Deliveries, pending_messages: PendingMessages) -> None:
        self._deliveries = deliveries
        self._pending = pending_messages

    async def RecordDelivered(
        self, request: delivery_pb.RecordDeliveredRequest, context: Context
    ) -> delivery_pb.RecordDeliveredResponse:
        """See the contract."""
        await self._deliveries.record(requests.acks_from_pb(request))
        return delivery_pb.RecordDeliveredResponse()

    async def ListPending(
        self, request: delivery_pb.ListPendingRequest, context: Context
    ) -> delivery_pb.ListPendingResponse:
        """See the contract."""
        position = pending.position_from_pb(request.page_token)
        page = await self._pending.page(request.tenant, request.user_id, request.device_id, position)
        return pending.page_to_pb(page)


class AccessServicer(access_service_pb2_grpc.AccessServiceServicer):
    """See the contract."""

    def __init__(self, accesses: ConversationAccesses) -> None:
        self._accesses = accesses

    async def BatchGetAccess(
        self, request: access_pb.BatchGetAccessRequest, context: Context
    ) -> access_pb.BatchGetAccessResponse:
        """See the contract."""
        return access.accesses_to_pb(await self._accesses.get(access.queries_from_pb(request)))
