"""The only place of people that reads or builds protobuf fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from kit.auth.access import ANY_TENANT
from kit.auth.caller import Caller
from kit.auth.cursor import InvalidCursor
from kit.errors import AccessDenied, Invalid
from kit.message_ids import message_id
from kit.target import is_id
from kit.tenant_keys import UserKey
from message_svc.codec.responses import message_to_pb
from message_svc.codec.times import timestamp
from message_svc.member_views import is_archived
from message_svc.people.conversations import BEGIN, ConversationPage, Membership, Position
from message_svc.people.ports import Progress
from message_svc.people.profiles import ProfilePage
from message_svc.people.reports import ReportPage
from message_svc.users.codec import blocked_user_to_pb, contact_to_pb, preferences_to_pb, user_to_pb
from plaudit.message.v1 import personal_data_service_pb2 as pb
from plaudit.message.v1 import user_erasure_pb2

EXPORT = "export"
"""The scope that lets a token export others."""


def erased_person_from_pb(request: user_erasure_pb2.ErasePersonRequest, who: Caller) -> UserKey:
    """The person to erase; raises AccessDenied where the service may not act in that tenant, and Invalid."""
    return _person(request.tenant or who.tenant, request.user, who)


def exported_person_from_pb(request: user_erasure_pb2.ExportPersonRequest, who: Caller) -> UserKey:
    """The person to export; raises AccessDenied where it is another one and the scope is missing, and Invalid."""
    tenant, user = request.tenant or who.tenant, request.user or who.user
    if (tenant, user) != (who.tenant, who.user) and EXPORT not in who.scopes:
        raise AccessDenied(f"only a token with the scope {EXPORT} exports others")
    return _person(tenant, user, who)


def progress_to_pb(progress: Progress) -> user_erasure_pb2.ErasePersonResponse:
    """The progress of an erasure."""
    return user_erasure_pb2.ErasePersonResponse(erased=progress.erased, done=progress.is_done)


def records_to_pb(records: Sequence[Any], next_page_token: str) -> user_erasure_pb2.ExportPersonResponse:
    """A page of an export, of records that parts have packed."""
    return user_erasure_pb2.ExportPersonResponse(records=records, next_page_token=next_page_token)


def position_from_pb(token: str) -> Position:
    """A position in the conversations of an export; raises InvalidCursor."""
    if not token:
        return BEGIN
    ref, _, seq = token.partition(" ")
    try:
        return Position(int(ref), int(seq))
    except ValueError:
        raise InvalidCursor("this is no page token", field="page_token") from None


def conversations_to_pb(page: ConversationPage) -> pb.ExportConversationsResponse:
    """A page of memberships and messages."""
    token = f"{page.next.ref} {page.next.seq}" if page.next is not None else ""
    response = pb.ExportConversationsResponse(next_page_token=token)
    for record in page.records:
        packed = _membership(record) if isinstance(record, Membership) else message_to_pb(*record)
        response.records.add().Pack(packed)
    return response


def profile_to_pb(page: ProfilePage) -> pb.ExportProfileResponse:
    """A page of a profile and its lists."""
    response = pb.ExportProfileResponse(next_page_token=page.next)
    found: list[Message] = [
        *([user_to_pb(page.profile)] if page.profile is not None else ()),
        *([preferences_to_pb(page.preferences)] if page.preferences is not None else ()),
        *map(contact_to_pb, page.contacts),
        *map(blocked_user_to_pb, page.blocked),
    ]
    for record in found:
        response.records.add().Pack(record)
    return response


def reports_to_pb(page: ReportPage) -> pb.ExportReportsResponse:
    """A page of reports: what the person has said, without the message and without what moderators have decided."""
    response = pb.ExportReportsResponse(next_page_token=page.next)
    for conversation_id, report, _ in page.reports:
        record = pb.ExportedReport(
            report_id=report.report_id,
            conversation_id=conversation_id,
            message_id=message_id(conversation_id, report.seq),
            reason=report.reason,  # type: ignore[arg-type]  # the same numbers
            comment=report.comment,
            create_time=timestamp(report.time_ms),
        )
        response.records.add().Pack(record)
    return response


def _membership(membership: Membership) -> pb.ExportedMembership:
    view, draft = membership
    member = view.member
    found = pb.ExportedMembership(
        conversation_id=view.key[1],
        type=view.head.kind,  # type: ignore[arg-type]  # the same numbers
        name=view.head.name if member.role else "",
        role=member.role,  # type: ignore[arg-type]
        visible_seqs=[number for span in member.spans for number in span],
        read_seq=member.read_seq,
        shown_read_seq=member.shown_read_seq,
        delivered_seq=member.delivered_seq,
        devices=dict(member.devices),
        pinned=member.pinned,
        draft=draft,
        archived=is_archived(view.head, member),
        marked_unread=member.marked_unread,
    )
    if member.mute_until_ms:
        found.mute_until.CopyFrom(timestamp(min(member.mute_until_ms, _LAST_MS)))
    return found


_LAST_MS = 253_402_300_799_000
"""The end of the year 9999, after which there is no `Timestamp`."""


def _person(tenant: str, user: str, who: Caller) -> UserKey:
    if tenant != who.tenant and ANY_TENANT not in who.scopes:
        raise AccessDenied("this service may not act in that tenant")
    for field, name in (("tenant", tenant), ("user", user)):
        if not is_id(name):
            raise Invalid(f"a {field} is 1 to 64 letters, digits or _.~-, but not . or ..", field=field)
    return tenant, user
