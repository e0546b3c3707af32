"""Pages of the messages that a device has not acknowledged, and their tokens."""

from __future__ import annotations

from kit.errors import Invalid
from message_svc.codec.responses import message_fields
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
        messages=[updates_pb2.NewMessage(**message_fields(name, row.item)) for name, row in page.messages],
        incomplete=page.incomplete,
        next_page_token=" ".join(map(str, page.next)) if page.next is not None else "",
    )
