"""How conversations and their members change. Pure."""

from __future__ import annotations

from message_svc.actions import (
    AddMembers,
    Convert,
    CreateDirect,
    CreateGroup,
    RemoveMember,
    SetDraft,
    SetMembership,
    SetRole,
    Update,
)
from message_svc.commands import Outcome, Reason, Refusal
from message_svc.domain import MAX_MEMBERS, MAX_SPANS, Head, ItemType, Kind, Member, Role, Span
from message_svc.member_views import is_archived
from message_svc.model.draft import UNCHANGED, Answer, Draft, refusal_to_manage
from message_svc.moderation_records import AuditAction, Capacity


def create_direct(draft: Draft, user: str, action: CreateDirect) -> Answer:
    """Creates a direct conversation where it is missing."""
    if draft.head is not None:
        return Refusal(Reason.CLOSED) if draft.head.close_ms else Outcome(1, draft.head.create_ms)
    if draft.denial is not None:
        return Refusal(draft.denial.reason)
    return _create(draft, user, Kind.DIRECT, "", "", {user: Role.MEMBER, action.other: Role.MEMBER})


def create_group(draft: Draft, user: str, action: CreateGroup) -> Answer:
    """Creates a group."""
    if draft.head is not None:
        return Refusal(Reason.CONFLICT)
    roles = {user: Role.ADMIN, **{other: Role.MEMBER for other in action.others if other != user}}
    if len(roles) > MAX_MEMBERS:
        return Refusal(Reason.GROUP_FULL)
    if draft.denial is not None:
        return Refusal(draft.denial.reason)
    return _create(draft, user, Kind.GROUP, action.name, action.avatar_url, roles)


def update(draft: Draft, head: Head, member: Member, action: Update) -> Answer:
    """Changes the name or the picture."""
    if refusal := refusal_to_manage(head, member):
        return refusal
    name = head.name if action.name is None else action.name
    avatar_url = head.avatar_url if action.avatar_url is None else action.avatar_url
    if (name, avatar_url) == (head.name, head.avatar_url):
        return UNCHANGED
    draft.head = head._replace(name=name, avatar_url=avatar_url)
    return draft.append(ItemType.UPDATED, member.user, name=name, avatar_url=avatar_url)


def add(draft: Draft, head: Head, member: Member, action: AddMembers) -> Answer:
    """Adds members, all or none."""
    if refusal := refusal_to_manage(head, member):
        return refusal
    new = [user for user in dict.fromkeys(action.users) if not draft.is_member(user)]
    if head.kind is Kind.GROUP and head.members + len(new) > MAX_MEMBERS:
        return Refusal(Reason.GROUP_FULL)
    if draft.denial is not None and not set(new).isdisjoint(draft.denial.users):
        return Refusal(draft.denial.reason)
    return _admit(draft, member.user, new) if new else UNCHANGED


def join(draft: Draft, head: Head, user: str, member: Member | None) -> Answer:
    """Makes a user a member of a channel."""
    if head.kind is not Kind.CHANNEL:
        return Refusal(Reason.NOT_FOUND)
    if member is not None and member.role is not Role.NONE:
        return UNCHANGED
    return _admit(draft, user, [user])


def remove(draft: Draft, head: Head, member: Member, action: RemoveMember) -> Answer:
    """Removes a member."""
    if action.user == member.user:
        return leave(draft, head, member)
    if refusal := refusal_to_manage(head, member):
        return refusal
    removed = draft.member(action.user)
    if removed is None or removed.role is Role.NONE:
        return UNCHANGED
    draft.audit(AuditAction.MEMBER_REMOVED, member.user, Capacity.ADMIN, user=removed.user, reason=action.reason)
    return exclude(draft, head, member.user, removed.user)


def exclude(draft: Draft, head: Head, actor: str, user: str) -> Outcome:
    """Ends the membership of a member of a group or channel.

    Where the last admin of a group is removed, another member becomes one; of a channel not all members are known here.
    """
    removed = draft.member(user)
    assert removed is not None
    outcome = draft.append(ItemType.MEMBER_REMOVED, actor, users=(user,))
    _end_membership(draft, removed, outcome.seq)
    if removed.role is Role.ADMIN and head.admins == 1 and head.members > 1 and head.kind is Kind.GROUP:
        appoint_admin(draft, actor, draft.first_member())
    return outcome


def leave(draft: Draft, head: Head, member: Member) -> Answer:
    """Ends the membership of a member, who may have left before."""
    if head.kind is Kind.DIRECT:
        return Refusal(Reason.WRONG_KIND)
    if member.role is Role.NONE:
        return UNCHANGED
    is_last_admin = member.role is Role.ADMIN and head.admins == 1 and head.members > 1
    if is_last_admin and head.kind is Kind.CHANNEL:
        return Refusal(Reason.LAST_ADMIN)
    outcome = draft.append(ItemType.MEMBER_LEFT, member.user, users=(member.user,))
    _end_membership(draft, member, outcome.seq)
    if is_last_admin:
        appoint_admin(draft, member.user, draft.first_member())
    return outcome


def set_role(draft: Draft, head: Head, member: Member, action: SetRole) -> Answer:
    """Changes the role of a member."""
    if refusal := refusal_to_manage(head, member):
        return refusal
    changed = draft.member(action.user)
    if changed is None or changed.role is Role.NONE:
        return Refusal(Reason.NO_MEMBER)
    if changed.role is action.role:
        return UNCHANGED
    if action.role is Role.MEMBER and head.admins == 1:
        return Refusal(Reason.LAST_ADMIN)
    if changed.user != member.user:
        fields = {"user": changed.user, "role": action.role, "reason": action.reason}
        draft.audit(AuditAction.ROLE_CHANGED, member.user, Capacity.ADMIN, **fields)
    outcome = draft.append(ItemType.ROLE_CHANGED, member.user, users=(changed.user,), role=action.role)
    draft.members[changed.user] = changed._replace(role=action.role)
    draft.count_members(0, 1 if action.role is Role.ADMIN else -1)
    return outcome


def convert(draft: Draft, head: Head, member: Member, action: Convert) -> Answer:
    """Makes a group a channel."""
    if refusal := refusal_to_manage(head, member):
        return refusal
    if head.kind is Kind.CHANNEL:
        return UNCHANGED
    draft.head = head._replace(kind=Kind.CHANNEL)
    return draft.append(ItemType.CONVERTED, member.user)


def _create(draft: Draft, user: str, kind: Kind, name: str, avatar_url: str, roles: dict[str, Role]) -> Outcome:
    now = draft.time_ms
    retention = draft.retention_seconds
    draft.head = Head(kind, name, avatar_url, user, now, now, 0, retention_seconds=retention, home_region=draft.region)
    for each, role in roles.items():
        draft.members[each] = Member(each, role, 1, (Span(1),), read_seq=1)
    outcome = draft.append(ItemType.CREATED, user, users=tuple(roles), name=name, avatar_url=avatar_url)
    draft.count_members(len(roles), sum(role is Role.ADMIN for role in roles.values()))
    return outcome


def _admit(draft: Draft, actor: str, users: list[str]) -> Outcome:
    outcome = draft.append(ItemType.MEMBERS_ADDED, actor, users=tuple(users), role=Role.MEMBER)
    for user in users:
        former = draft.member(user) or Member(user, Role.NONE, 0, ())
        draft.members[user] = former._replace(
            role=Role.MEMBER,
            joined_seq=outcome.seq,
            spans=(*former.spans, Span(outcome.seq))[-MAX_SPANS:],
            read_seq=outcome.seq,
            read_ordinal=outcome.ordinal,
        )
    draft.count_members(len(users), 0)
    return outcome


def appoint_admin(draft: Draft, actor: str, successor: Member) -> None:
    """Makes a member an admin, in the name of the one who leaves."""
    draft.append(ItemType.ROLE_CHANGED, actor, users=(successor.user,), role=Role.ADMIN)
    draft.members[successor.user] = successor._replace(role=Role.ADMIN)
    draft.count_members(0, 1)


def _end_membership(draft: Draft, member: Member, seq: int) -> None:
    spans = (*member.spans[:-1], Span(member.spans[-1].first, seq))
    draft.members[member.user] = draft.with_draft(member, "")._replace(role=Role.NONE, spans=spans)
    draft.count_members(-1, -1 if member.role is Role.ADMIN else 0)


def set_membership(draft: Draft, head: Head, member: Member, action: SetMembership) -> Answer:
    """Changes what the conversation is for the member alone."""
    was_archived = is_archived(head, member)
    after = member
    if action.mute_until_ms is not None:
        after = after._replace(mute_until_ms=action.mute_until_ms)
    if action.pinned is not None:
        after = after._replace(pinned=action.pinned)
    if action.marked_unread is not None:
        after = after._replace(marked_unread=action.marked_unread)
    archived = was_archived if action.archived is None else action.archived
    if archived is not is_archived(head, after):
        # What came while it was muted does not bring it back when that ends, nor does a later mute archive it again.
        after = after._replace(archived_seq=head.last_seq if archived else 0)
    if after != member:
        draft.set_own_row(after)
    return Outcome(0, draft.time_ms, head.ordinal, after)


def set_draft(draft: Draft, head: Head, member: Member, action: SetDraft) -> Answer:
    """Keeps what the member has written and not sent."""
    after = draft.with_draft(member, action.content, action.device)
    if action.content or after != member:
        draft.members[member.user] = after
    return Outcome(0, draft.time_ms, head.ordinal)
