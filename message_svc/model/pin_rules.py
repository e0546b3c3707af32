"""How messages are pinned. Pure."""

from __future__ import annotations

from message_svc.actions import PinMessage, UnpinMessage
from message_svc.commands import Reason, Refusal
from message_svc.domain import MAX_PINNED, Head, ItemType, Member, Pin
from message_svc.model.draft import UNCHANGED, Answer, Draft, refusal_by_peer, refusal_to_set


def pin(draft: Draft, head: Head, member: Member, action: PinMessage) -> Answer:
    """Pins a message for all members."""
    if refusal := _refusal_to_pin(draft, head, member):
        return refusal
    facts = draft.message_seen_by(member, action.seq)
    if facts is None:
        return Refusal(Reason.NO_MESSAGE)
    if facts.is_deleted:
        return Refusal(Reason.DELETED)
    pins = tuple(each for each in head.pinned if each.seq >= head.visible_from)
    if any(each.seq == action.seq for each in pins):
        return UNCHANGED
    if len(pins) >= MAX_PINNED:
        return Refusal(Reason.PINS_FULL)
    draft.head = head._replace(pinned=(*pins, Pin(action.seq, head.last_seq + 1)))
    return draft.append(ItemType.PINNED, member.user, subject=action.seq)


def unpin(draft: Draft, head: Head, member: Member, action: UnpinMessage) -> Answer:
    """Makes a message not pinned any more."""
    if refusal := _refusal_to_pin(draft, head, member):
        return refusal
    if draft.message_seen_by(member, action.seq) is None:
        return Refusal(Reason.NO_MESSAGE)
    pins = tuple(each for each in head.pinned if each.seq != action.seq)
    if pins == head.pinned:
        return UNCHANGED
    draft.head = head._replace(pinned=pins)
    return draft.append(ItemType.UNPINNED, member.user, subject=action.seq)


def _refusal_to_pin(draft: Draft, head: Head, member: Member) -> Refusal | None:
    return refusal_to_set(head, member) or refusal_by_peer(draft, head)
