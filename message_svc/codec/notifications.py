"""Notifications as `plaudit.event.v1.OfflineNotification`."""

from __future__ import annotations

from kit.message_ids import message_id
from message_svc.notifications.rules import Notification, snippet_of
from plaudit.event.v1 import notification_events_pb2 as pb


def notification_to_pb(notification: Notification, sender_name: str) -> bytes:
    """The record of a notification; see `notifications.publisher.Encode`."""
    message, recipient, reason, unread = notification
    (tenant, conversation_id), kind, name, item, _ = message
    return pb.OfflineNotification(
        recipient_id=recipient,
        sender_name=sender_name,
        snippet=snippet_of(item.body),
        msg_id=message_id(conversation_id, item.seq),
        tenant=tenant,
        conversation_id=conversation_id,
        conversation_name=name,
        conversation_type=kind,
        sender_id=item.actor,
        content_type=item.body.content_type if item.body is not None else "",
        timestamp=item.time_ms,
        message_seq=item.seq,
        unread_count=unread,
        mentioned=message.mentions(recipient),
        reason=reason.value,
        idempotency_key=notification.idempotency_key,
    ).SerializeToString()


def time_from_pb(payload: bytes) -> int:
    """When the message of a record was sent, milliseconds since 1970."""
    return pb.OfflineNotification.FromString(payload).timestamp
