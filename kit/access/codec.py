"""Between protobuf messages and values: questions to message_svc, and entries of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError

from kit.access.domain import Block, UserAccess
from kit.access.ports import Answer, Query
from kit.event_log.ports import Record
from kit.tenant_keys import TargetKey
from plaudit.event.v1 import message_events_pb2 as event_pb
from plaudit.message.v1 import access_service_pb2 as pb
from plaudit.message.v1 import change_pb2

# Items that change who may see what: other items only add to a conversation.
_CHANGES = frozenset(
    (
        change_pb2.CHANGE_TYPE_MESSAGE_DELETED,
        change_pb2.CHANGE_TYPE_MEMBERS_ADDED,
        change_pb2.CHANGE_TYPE_MEMBER_REMOVED,
        change_pb2.CHANGE_TYPE_MEMBER_LEFT,
        change_pb2.CHANGE_TYPE_CONVERSATION_CLOSED,
    )
)


class Undecodable(Exception):
    """A log record that is no valid entry."""


def queries_to_pb(queries: Mapping[TargetKey, Query]) -> bytes:
    """A request for what users may see."""
    rows = [
        pb.AccessQuery(tenant=tenant, conversation_id=conversation_id, user_ids=query.users, blocks=query.blocks)
        for (tenant, conversation_id), query in queries.items()
    ]
    return pb.BatchGetAccessRequest(queries=rows).SerializeToString()


def answers_from_pb(queries: Mapping[TargetKey, Query], response: bytes) -> dict[TargetKey, Answer]:
    """The answers to the queries, which are as many and in the same order."""
    rows = pb.BatchGetAccessResponse.FromString(response).conversations
    return {key: _answer(query, row) for (key, query), row in zip(queries.items(), rows, strict=True)}


def _answer(query: Query, row: pb.ConversationAccess) -> Answer:
    users = {
        user: UserAccess(each.is_member, _spans(each.spans), row.last_seq)
        for user, each in zip(query.users, row.users, strict=True)
    }
    # Without a user who may see anything there are no blocks.
    blocks = {
        number: Block(frozenset(each.message_seqs), row.last_seq)
        for number, each in zip(query.blocks, row.blocks, strict=False)
    }
    return Answer(users, blocks)


def _spans(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def changed_from_record(record: Record) -> Sequence[tuple[TargetKey, int, int]]:
    """The conversations of an entry of which users may see something else after it, with the number of their last item,
    and that of the first one that has not disappeared; raises `Undecodable`."""
    try:
        entry = event_pb.MessagesChanged.FromString(record.payload)
    except DecodeError as error:
        raise Undecodable(str(error)) from None
    return [
        ((row.tenant, row.conversation_id), row.head.last_seq, row.head.visible_from)
        for row in entry.conversations
        if _changes_access(row)
    ]


def _changes_access(row: event_pb.ConversationChanged) -> bool:
    return row.hidden_before > 0 or any(item.type in _CHANGES for item in row.items)
