"""Requests about the messages that devices receive, as protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping

from kit.rpc.service_call import Payload
from plaudit.message.v1 import delivery_service_pb2 as pb


def record_delivered_to_pb(tenant: str, user: str, device: str, cursors: Mapping[str, int]) -> Payload:
    """The request to record what a device has acknowledged: the number of the last message by conversation."""
    return pb.RecordDeliveredRequest(
        tenant=tenant,
        user_id=user,
        device_id=device,
        conversation_ids=cursors.keys(),
        message_seqs=cursors.values(),
    )
