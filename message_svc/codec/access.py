"""Queries of access and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from message_svc.service.access import AccessQuery, ConversationAccess
from plaudit.message.v1 import access_service_pb2 as pb


def queries_from_pb(request: pb.BatchGetAccessRequest) -> list[AccessQuery]:
    """The queries, in order."""
    return [
        AccessQuery(query.tenant, query.conversation_id, list(query.user_ids), list(query.blocks))
        for query in request.queries
    ]


def accesses_to_pb(found: Iterable[ConversationAccess]) -> pb.BatchGetAccessResponse:
    """The answers, in order."""
    return pb.BatchGetAccessResponse(conversations=[_access(each) for each in found])


def _access(found: ConversationAccess) -> pb.ConversationAccess:
    return pb.ConversationAccess(
        last_seq=found.last_seq,
        users=[pb.UserAccess(is_member=user.is_member, spans=_flat(user.spans)) for user in found.users],
        blocks=[pb.MessageBlock(message_seqs=seqs) for seqs in found.blocks],
    )


def _flat(spans: Sequence[tuple[int, int]]) -> list[int]:
    return [number for span in spans for number in span]
