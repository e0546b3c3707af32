"""How messages of a conversation disappear with time. Pure."""

from __future__ import annotations

from message_svc.actions import HideBefore, RecordPurge, SetRetention
from message_svc.domain import Head, ItemType, Member
from message_svc.model.draft import UNCHANGED, Answer, Draft, refusal_to_set


def set_retention(draft: Draft, head: Head, member: Member, action: SetRetention) -> Answer:
    """Changes how long messages stay: an admin, or either user of a direct conversation."""
    if refusal := refusal_to_set(head, member):
        return refusal
    if head.retention_seconds == action.seconds:
        return UNCHANGED
    # Messages may be due by now; and rows may have to be removed, whatever the setting is.
    is_due = action.seconds > 0 or head.purged_before < head.visible_from
    draft.head = head._replace(retention_seconds=action.seconds, retention_due_ms=draft.time_ms if is_due else 0)
    return draft.append(ItemType.RETENTION_CHANGED, member.user, retention_seconds=action.seconds)


def hide_before(draft: Draft, head: Head, action: HideBefore) -> Answer:
    """Moves the boundary forward, never back, and never beyond the next item."""
    is_forward = head.visible_from < action.seq <= head.last_seq + 1
    if not is_forward or head.retention_seconds != action.retention_seconds:
        return UNCHANGED
    last_hidden = draft.facts(action.seq - 1)
    if last_hidden is None:
        return UNCHANGED
    draft.hide_before(action.seq, last_hidden.ordinal, max(action.due_ms, draft.time_ms))
    return UNCHANGED


def record_purge(draft: Draft, head: Head, action: RecordPurge) -> Answer:
    """Records that rows are removed, and when the next messages disappear."""
    purged_before = max(head.purged_before, min(action.seq, head.visible_from))
    due_ms = head.retention_due_ms
    # With another setting, or another boundary, it is due as it is.
    if (head.retention_seconds, head.visible_from) == (action.retention_seconds, action.seq):
        due_ms = action.due_ms
        if not due_ms and head.retention_seconds and head.last_seq >= max(head.visible_from, 1):
            # Sent since the caller has looked.
            due_ms = head.update_ms + head.retention_seconds * 1_000
    if (purged_before, due_ms) != (head.purged_before, head.retention_due_ms):
        draft.head = head._replace(purged_before=purged_before, retention_due_ms=due_ms)
    return UNCHANGED
