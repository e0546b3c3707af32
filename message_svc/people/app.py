"""Composes what erases and exports persons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.auth.cursor import Cursors
from kit.clock import Clock
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background, run_with_backoff, task_scope
from message_svc.errors import ERRORS
from message_svc.people.adapters.mesh_parts import erasure_parts, export_parts
from message_svc.people.conversations import ConversationErasure, ConversationExport
from message_svc.people.erasures import Erasures
from message_svc.people.exports import Exports
from message_svc.people.profiles import Profiles
from message_svc.people.reports import PersonReports
from message_svc.people.servicer import PersonalDataServicer, PersonServicer
from message_svc.ports import ConversationLedger, ConversationReads, ModerationReads
from message_svc.users.app import OpenedUsers
from plaudit.message.v1 import personal_data_service_pb2_grpc, user_service_pb2_grpc


@asynccontextmanager
async def opened(
    users: OpenedUsers,
    ledger: ConversationLedger,
    reads: ConversationReads,
    moderation_reads: ModerationReads,
    mesh: Mesh,
    cursors: Cursors,
    clock: Clock,
) -> AsyncIterator[list[Hosted]]:
    """The services of users and of personal data. Erasures that are not done continue during the block."""
    async with task_scope() as tasks:
        erasures = Erasures(users.store, erasure_parts(mesh), clock, tasks, is_shared=users.is_shared)
        person_servicer = PersonServicer(users.users, users.relations, erasures, Exports(export_parts(mesh), cursors))
        data_servicer = PersonalDataServicer(
            ConversationErasure(ledger, reads, clock),
            ConversationExport(reads),
            Profiles(users.store, users.standings),
            PersonReports(ledger, moderation_reads),
        )
        async with background(run_with_backoff("erasures", erasures.run)):
            yield [
                Hosted(person_servicer, user_service_pb2_grpc.add_UserServiceServicer_to_server, ERRORS),
                Hosted(data_servicer, personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server, ERRORS),
            ]
        tasks.cancel_all()
