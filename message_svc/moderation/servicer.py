"""The rpcs of moderation: each decodes its request, calls the service and encodes the response."""

from __future__ import annotations

from typing import Any

import grpc

from kit.auth.caller import caller
from message_svc.moderation import codec
from message_svc.moderation.service import Moderation
from plaudit.message.v1 import moderation_changes_pb2 as changes_pb
from plaudit.message.v1 import moderation_service_pb2 as pb
from plaudit.message.v1 import moderation_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any] | None


class ModerationServicer(moderation_service_pb2_grpc.ModerationServiceServicer):
    """See the contract."""

    def __init__(self, moderation: Moderation) -> None:
        self._moderation = moderation

    async def ReportMessage(
        self, request: changes_pb.ReportMessageRequest, context: Context
    ) -> changes_pb.ReportMessageResponse:
        """See the contract."""
        report_id = await self._moderation.report(
            caller(), request.conversation_id, request.message_id, request.reason, request.comment
        )
        return changes_pb.ReportMessageResponse(report_id=report_id)

    async def ListReports(self, request: pb.ListReportsRequest, context: Context) -> pb.ListReportsResponse:
        """See the contract."""
        status = codec.status_from_pb(request.status)
        page = await self._moderation.reports(caller(), status, request.page_size, request.page_token)
        return codec.reports_to_pb(*page)

    async def ResolveReport(
        self, request: changes_pb.ResolveReportRequest, context: Context
    ) -> changes_pb.ResolveReportResponse:
        """See the contract."""
        status = codec.status_from_pb(request.status)
        report = await self._moderation.resolve(caller(), request.report_id, status, request.note, request.op_id)
        return changes_pb.ResolveReportResponse(report=codec.report_to_pb(report))

    async def RemoveMessage(
        self, request: changes_pb.RemoveMessageRequest, context: Context
    ) -> changes_pb.RemoveMessageResponse:
        """See the contract."""
        seq = await self._moderation.remove_message(
            caller(), request.conversation_id, request.message_id, request.reason, request.op_id
        )
        return changes_pb.RemoveMessageResponse(message_seq=seq)

    async def ExcludeMember(
        self, request: changes_pb.ExcludeMemberRequest, context: Context
    ) -> changes_pb.ExcludeMemberResponse:
        """See the contract."""
        seq = await self._moderation.exclude_member(
            caller(), request.conversation_id, request.user_id, request.reason, request.op_id
        )
        return changes_pb.ExcludeMemberResponse(message_seq=seq)

    async def CloseConversation(
        self, request: changes_pb.CloseConversationRequest, context: Context
    ) -> changes_pb.CloseConversationResponse:
        """See the contract."""
        seq = await self._moderation.close(caller(), request.conversation_id, request.reason, request.op_id)
        return changes_pb.CloseConversationResponse(message_seq=seq)

    async def ListAuditRecords(
        self, request: pb.ListAuditRecordsRequest, context: Context
    ) -> pb.ListAuditRecordsResponse:
        """See the contract."""
        page = await self._moderation.audits(caller(), request.page_size, request.page_token)
        return codec.audits_to_pb(*page)
