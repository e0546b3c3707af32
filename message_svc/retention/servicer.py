"""The rpc of the service: decodes its request, calls the service and encodes the response."""

from __future__ import annotations

from typing import Any

import grpc

from kit.auth.caller import caller
from message_svc.service.conversations import Conversations
from plaudit.message.v1 import retention_service_pb2 as pb
from plaudit.message.v1 import retention_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any] | None


class RetentionServicer(retention_service_pb2_grpc.RetentionServiceServicer):
    """See the contract."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def SetRetention(self, request: pb.SetRetentionRequest, context: Context) -> pb.SetRetentionResponse:
        """See the contract."""
        seq = await self._conversations.set_retention(
            caller(), request.conversation_id, request.retention_seconds, request.op_id
        )
        return pb.SetRetentionResponse(message_seq=seq)
