"""Pages of the messages that a device has not acknowledged, and their tokens."""

from __future__ import annotations

from kit.errors import Invalid
from kit.message_ids import message_id
from message_svc.ports import StoredItem
from message_svc.service.pending import PendingPage, PendingPosition
from plaudit.message.v1 import delivery_service_pb2 as pb
from plaudit.message.v1 import updates_pb2


def position_from_pb(token: str) -> PendingPosition | None:
    """The position of a page; None: of the first one. Raises Invalid."""
    if not token:
        return None
    try:
        ref, seq, since_ms = map(int, token.split(" "))
    except ValueError:
        raise Invalid("this is no token of a page", field="page_token") from None
    return PendingPosition(ref, seq, since_ms)


def page_to_pb(page: PendingPage) -> pb.ListPendingResponse:
    """A page."""
    return pb.ListPendingResponse(
        messages=[_new_message(conversation_id, row) for conversation_id, row in page.messages],
        incomplete=page.incomplete,
        next_page_token=" ".join(map(str, page.next)) if page.next is not None else "",
    )


def _new_message(conversation_id: str, row: StoredItem) -> updates_pb2.NewMessage:
    item, body = row.item, row.item.body
    assert body is not None
    return updates_pb2.NewMessage(
        message_id=message_id(conversation_id, item.seq),
        conversation_id=conversation_id,
        sender_id=item.actor,
        content=body.content,
        content_type=body.content_type,
        timestamp=item.time_ms,
        message_seq=item.seq,
        ordinal=item.ordinal,
        client_msg_id=item.client_msg_id,
        reply_to=message_id(conversation_id, body.reply_to) if body.reply_to else "",
        mentions=body.mentions,
        metadata=dict(body.metadata),
        origin_region=item.origin_region,
    )
