"""Requests about the messages that devices receive, as protobuf messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kit.rpc.service_call import Payload
from plaudit.message.v1 import delivery_service_pb2 as pb


def record_delivered_to_pb(report: Iterable[tuple[tuple[str, str, str], Mapping[str, int]]]) -> Payload:
    """The request to record what devices have acknowledged: of each tenant, user and device, the number of the last
    message by conversation."""
    request = pb.RecordDeliveredRequest()
    for (tenant, user, device), cursors in report:
        request.devices.add(
            tenant=tenant,
            user_id=user,
            device_id=device,
            conversation_ids=cursors.keys(),
            message_seqs=cursors.values(),
        )
    return request


class PendingPage(NamedTuple):
    """Messages that a device lacks: of each its conversation, its `message_seq` and the message of its push."""

    messages: Sequence[tuple[str, int, bytes]]
    incomplete: Sequence[str]
    next_token: str


def list_pending_to_pb(tenant: str, user: str, device: str, token: str) -> Payload:
    """The request for a page; `token` "": the first one."""
    return pb.ListPendingRequest(tenant=tenant, user_id=user, device_id=device, page_token=token)


def pending_from_pb(response: bytes) -> PendingPage:
    """A page of messages."""
    page = pb.ListPendingResponse.FromString(response)
    messages = [(one.conversation_id, one.message_seq, one.SerializeToString()) for one in page.messages]
    return PendingPage(messages, list(page.incomplete), page.next_page_token)
