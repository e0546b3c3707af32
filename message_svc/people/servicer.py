"""The rpcs that erase and export persons: each decodes its request, calls and encodes the response."""

from __future__ import annotations

from typing import Any

import grpc

from kit.auth.caller import caller
from message_svc.people import codec
from message_svc.people.conversations import ConversationErasure, ConversationExport
from message_svc.people.erasures import Erasures
from message_svc.people.exports import Exports
from message_svc.people.profiles import Profiles
from message_svc.people.reports import PersonReports
from message_svc.users.relations import Relations
from message_svc.users.service import Users
from message_svc.users.servicer import UserServicer
from plaudit.message.v1 import personal_data_service_pb2 as pb
from plaudit.message.v1 import personal_data_service_pb2_grpc, user_erasure_pb2

Context = grpc.aio.ServicerContext[Any, Any] | None


class PersonServicer(UserServicer):
    """The service of users with the rpcs that concern all services."""

    def __init__(self, users: Users, relations: Relations, erasures: Erasures, exports: Exports) -> None:
        super().__init__(users, relations)
        self._erasures = erasures
        self._exports = exports

    async def ErasePerson(
        self, request: user_erasure_pb2.ErasePersonRequest, context: Context
    ) -> user_erasure_pb2.ErasePersonResponse:
        """See the contract."""
        return codec.progress_to_pb(await self._erasures.erase(*codec.erased_person_from_pb(request, caller())))

    async def ExportPerson(
        self, request: user_erasure_pb2.ExportPersonRequest, context: Context
    ) -> user_erasure_pb2.ExportPersonResponse:
        """See the contract."""
        who = caller()
        person = codec.exported_person_from_pb(request, who)
        reader = (who.tenant, who.user or who.service)
        return codec.records_to_pb(*await self._exports.page(reader, person, request.page_token))


class PersonalDataServicer(personal_data_service_pb2_grpc.PersonalDataServiceServicer):
    """See the contract."""

    def __init__(
        self, erasure: ConversationErasure, export: ConversationExport, profiles: Profiles, reports: PersonReports
    ) -> None:
        self._erasure = erasure
        self._export = export
        self._profiles = profiles
        self._reports = reports

    async def EraseConversations(
        self, request: pb.EraseConversationsRequest, context: Context
    ) -> pb.EraseConversationsResponse:
        """See the contract."""
        erased, is_done = await self._erasure.erase((request.tenant, request.user))
        return pb.EraseConversationsResponse(erased=erased, done=is_done)

    async def ExportConversations(
        self, request: pb.ExportConversationsRequest, context: Context
    ) -> pb.ExportConversationsResponse:
        """See the contract."""
        position = codec.position_from_pb(request.page_token)
        return codec.conversations_to_pb(await self._export.page((request.tenant, request.user), position))

    async def EraseProfile(self, request: pb.EraseProfileRequest, context: Context) -> pb.EraseProfileResponse:
        """See the contract."""
        erased, is_done = await self._profiles.erase((request.tenant, request.user))
        return pb.EraseProfileResponse(erased=erased, done=is_done)

    async def ExportProfile(self, request: pb.ExportProfileRequest, context: Context) -> pb.ExportProfileResponse:
        """See the contract."""
        return codec.profile_to_pb(await self._profiles.page((request.tenant, request.user), request.page_token))

    async def EraseReports(self, request: pb.EraseReportsRequest, context: Context) -> pb.EraseReportsResponse:
        """See the contract."""
        erased, is_done = await self._reports.erase((request.tenant, request.user))
        return pb.EraseReportsResponse(erased=erased, done=is_done)

    async def ExportReports(self, request: pb.ExportReportsRequest, context: Context) -> pb.ExportReportsResponse:
        """See the contract."""
        return codec.reports_to_pb(await self._reports.page((request.tenant, request.user), request.page_token))
