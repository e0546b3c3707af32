"""What a member sees of a conversation. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from message_svc.domain import MAX_PENDING_ITEMS, Head, Kind, Member, Span


def cursor_of(member: Member, device: str) -> int | None:
    """Up to which item the device has acknowledged all; None: it has acknowledged nothing in the conversation."""
    return dict(member.devices).get(device)


def pending_span(head: Head, member: Member, device: str, *, is_known: bool) -> tuple[Span, bool]:
    """The range of items whose messages the device may lack, and whether earlier ones are left out.

    The range is empty (its last item is before its first one) where the device lacks none. `is_known`: whether the
    device has acknowledged something in any conversation; a new device lacks what no device has received.
    """
    first, cursor = max(member.spans[-1].first, head.visible_from, 1), cursor_of(member, device)
    if cursor is None:
        cursor = 0 if is_known else max(member.delivered_seq, member.read_seq)
    first = max(first, cursor + 1)
    if head.kind is Kind.CHANNEL or head.last_message_seq < first:
        return Span(first, first - 1), False
    window = head.last_seq - MAX_PENDING_ITEMS + 1
    return Span(max(first, window), head.last_seq), first < window


def visible_spans(head: Head, member: Member) -> list[Span]:
    """The ranges of items that the user may see, oldest first, each with an end."""
    spans = (Span(max(first, head.visible_from, 1), last or head.last_seq) for first, last in member.spans)
    return [span for span in spans if span.first <= span.last]


def is_in(spans: Iterable[Span], seq: int) -> bool:
    """Whether an item is in one of the ranges, each with an end."""
    return any(first <= seq <= last for first, last in spans)


def is_archived(head: Head, member: Member) -> bool:
    """Whether the conversation is archived for the member.

    A message ends it, unless it comes while the conversation is muted. No row is written then: the tables show whether
    one has come, and when the last item has.
    """
    is_silent = head.last_message_seq <= member.archived_seq or head.update_ms < member.mute_until_ms
    return member.archived_seq > 0 and is_silent


def unread_range(head: Head, member: Member) -> tuple[int, int]:
    """The number of the last item that cannot be unread, and how many messages follow it, with deleted ones."""
    read_seq, read_ordinal = max((member.read_seq, member.read_ordinal), (head.visible_from - 1, head.hidden_ordinal))
    return read_seq, head.ordinal - read_ordinal
