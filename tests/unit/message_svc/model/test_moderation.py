"""Reports of messages, acts of moderators, and the audit records of both and of admins."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import pytest

from message_svc.actions import (
    Action,
    AddMembers,
    CloseConversation,
    Convert,
    CreateDirect,
    Delete,
    Edit,
    ExcludeMember,
    Join,
    Leave,
    MarkRead,
    RemoveMember,
    RemoveMessage,
    Report,
    ResolveReport,
    Send,
    SetRole,
    Update,
)
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import Body, DeletedBy, ItemType, Role
from message_svc.model.decision import digest_of
from message_svc.moderation_records import (
    AuditAction,
    AuditRecord,
    Capacity,
    ReportStatus,
    day_of,
    report_id_of,
)
from message_svc.moderation_records import Report as ReportRow
from tests.unit.message_svc.shards import NOW, TENANT, Shard, items_of


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def audits_of(shard: Shard, conversation_id: str) -> list[AuditRecord]:
    shard.write()
    return list(shard.tables.audits.get((TENANT, conversation_id), {}).values())


def reports_of(shard: Shard, conversation_id: str) -> list[ReportRow]:
    shard.write()
    return list(shard.tables.reports.get((TENANT, conversation_id), {}).values())


def test_a_report_keeps_the_message_as_it_was(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "alice", "rude")
    made = shard.made(group, "bob", Report(sent.seq, 2, "again", "rude", "text", sent.time_ms), "report/2")
    shard.made(group, "alice", Edit(sent.seq, "nice"))
    shard.made(group, "alice", Delete(sent.seq))
    (report,) = reports_of(shard, group)
    report_id = report_id_of(made.time_ms, TENANT, group, sent.seq, "bob")
    assert report == ReportRow(
        report_id, sent.seq, "bob", "alice", 2, "again", "rude", "text", sent.time_ms, made.time_ms
    )
    assert day_of(report_id) == made.time_ms // 86_400_000


def test_a_second_report_is_the_first_one_also_after_a_deletion(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "alice", "rude")
    first = shard.do(group, "bob", Report(sent.seq, 2, "", "rude", "text"), "report/2")
    shard.made(group, "alice", Delete(sent.seq))
    assert shard.do(group, "bob", Report(sent.seq, 5, "other words"), "report/2") == first
    assert len(reports_of(shard, group)) == 1
    # Another user has no copy of it.
    shard.made(group, "alice", AddMembers(("carol",)))
    other = shard.send(group, "alice", "worse")
    shard.made(group, "alice", Delete(other.seq))
    assert shard.refused(group, "bob", Report(other.seq, 2), f"report/{other.seq}") is Reason.DELETED


def test_users_report_what_they_see_and_former_members_what_they_saw(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    seen = shard.send(group, "alice", "rude")
    shard.made(group, "bob", Leave())
    unseen = shard.send(group, "alice", "later")
    assert shard.refused(group, "bob", Report(unseen.seq, 1, "", "later"), "report/1") is Reason.NO_MESSAGE
    assert shard.refused(group, "carol", Report(1, 1, "", "x"), "report/2") is Reason.NO_MESSAGE
    assert shard.refused(group, "eve", Report(seen.seq, 1, "", "rude"), "report/3") is Reason.NOT_FOUND
    shard.made(group, "bob", Report(seen.seq, 1, "", "rude"), "report/4")
    assert [report.reporter for report in reports_of(shard, group)] == ["bob"]


def test_acts_of_admins_on_others_have_records_and_acts_on_oneself_have_none(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    own, of_bob = shard.send(group, "alice"), shard.send(group, "bob")
    shard.made(group, "alice", Delete(own.seq))
    shard.made(group, "alice", Delete(of_bob.seq))
    shard.made(group, "alice", Delete(of_bob.seq))  # changes nothing
    shard.made(group, "alice", SetRole("bob", Role.ADMIN))
    shard.made(group, "alice", RemoveMember("carol"))
    shard.made(group, "alice", SetRole("alice", Role.MEMBER))
    shard.made(group, "alice", RemoveMember("alice"))
    found = [(each.action, each.actor, each.capacity, each.user, each.seq) for each in audits_of(shard, group)]
    assert found == [
        (AuditAction.MESSAGE_DELETED, "alice", Capacity.ADMIN, "bob", of_bob.seq),
        (AuditAction.ROLE_CHANGED, "alice", Capacity.ADMIN, "bob", 0),
        (AuditAction.MEMBER_REMOVED, "alice", Capacity.ADMIN, "carol", 0),
    ]
    assert audits_of(shard, group)[1].role == Role.ADMIN


def test_the_record_has_the_reason_of_an_admin_and_its_operation_has_one_reason(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    of_bob = shard.send(group, "bob")
    shard.made(group, "alice", Delete(of_bob.seq, "rude"), "deletion")
    assert shard.refused(group, "alice", Delete(of_bob.seq, "other"), "deletion") is Reason.CONFLICT
    shard.made(group, "alice", SetRole("bob", Role.ADMIN, "helps a lot"))
    shard.made(group, "alice", RemoveMember("carol", "spam"))
    assert [each.reason for each in audits_of(shard, group)] == ["rude", "helps a lot", "spam"]


@pytest.mark.parametrize(
    ("action", "number", "fields"),
    [(Delete(7), 4, (7,)), (RemoveMember("bob"), 7, ("bob",)), (SetRole("bob", Role.ADMIN), 10, ("bob", 2))],
)
def test_an_operation_without_a_reason_has_the_digest_that_is_stored(
    action: Action, number: int, fields: tuple[object, ...]
) -> None:
    assert digest_of(action) == blake2b(msgspec.msgpack.encode((number, fields)), digest_size=16).digest()


@pytest.mark.parametrize("is_direct", [False, True])
def test_a_moderator_who_is_no_member_removes_any_message(shard: Shard, is_direct: bool) -> None:
    conversation = shard.direct("alice", "bob") if is_direct else shard.group("alice", "bob")
    sent = shard.send(conversation, "alice")
    assert shard.unread(conversation, "bob") == 1
    made = shard.made(conversation, "mod", RemoveMessage(sent.seq, "spam"), "op")
    assert shard.made(conversation, "mod", RemoveMessage(sent.seq, "spam"), "op") == made
    assert shard.made(conversation, "mod", RemoveMessage(sent.seq, "again")).seq == 0
    assert shard.unread(conversation, "bob") == 0
    (deletion,) = [item for item in items_of(shard.entries, conversation) if item.type is ItemType.DELETE]
    assert (deletion.actor, deletion.deleted_by) == ("", DeletedBy.MODERATOR)
    (record,) = audits_of(shard, conversation)
    assert record[1:] == (
        AuditAction.MESSAGE_DELETED, "mod", Capacity.MODERATOR, made.time_ms, sent.seq, "alice", 0, "",
        ReportStatus.ANY, "spam",
    )  # fmt: skip


def test_what_a_moderator_cannot_find_has_no_record(shard: Shard) -> None:
    group, missing = shard.group("alice", "bob"), shard.direct("x", "y")[:-26] + "0" * 26
    assert shard.refused(group, "mod", RemoveMessage(1, "")) is Reason.NO_MESSAGE
    assert shard.refused(group, "mod", RemoveMessage(9, "")) is Reason.NO_MESSAGE
    assert shard.refused(missing, "mod", RemoveMessage(2, "")) is Reason.NOT_FOUND
    assert shard.refused(missing, "mod", CloseConversation("")) is Reason.NOT_FOUND
    assert shard.made(group, "mod", ExcludeMember("eve", "")).seq == 0
    assert shard.refused(shard.direct("alice", "bob"), "mod", ExcludeMember("bob", "")) is Reason.WRONG_KIND
    assert audits_of(shard, group) == []


def test_a_late_attempt_of_a_refused_act_is_refused_too(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    assert shard.refused(group, "mod", RemoveMessage(2, "spam"), "op") is Reason.NO_MESSAGE
    shard.send(group, "alice")
    assert shard.refused(group, "mod", RemoveMessage(2, "spam"), "op") is Reason.NO_MESSAGE
    shard.made(group, "mod", RemoveMessage(2, "spam"), "another")


def test_a_moderator_excludes_also_the_last_admin(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    shard.made(group, "mod", ExcludeMember("alice", "abuse"))
    assert [shard.member(group, user).role for user in ("alice", "bob")] == [Role.NONE, Role.ADMIN]
    head = shard.head(group)
    assert (head.members, head.admins) == (2, 1)
    channel = shard.group("alice", "bob")
    shard.made(channel, "alice", Convert())
    shard.made(channel, "mod", ExcludeMember("alice", ""))
    head = shard.head(channel)
    assert (head.members, head.admins, shard.member(channel, "bob").role) == (1, 0, Role.MEMBER)
    assert [each.user for each in audits_of(shard, channel)] == ["alice"]


@pytest.mark.parametrize(
    "action",
    [
        Send(Body("hi")), Edit(2, "x"), Delete(2), MarkRead(2), Update("x", None), AddMembers(("eve",)), Leave(),
        RemoveMember("bob"), SetRole("bob", Role.ADMIN), Convert(), Report(2, 1, "", "x"),
    ],
)  # fmt: skip
def test_a_closed_conversation_refuses_members_and_is_not_found_by_others(shard: Shard, action: Action) -> None:
    group = shard.group("alice", "bob")
    shard.send(group, "alice")
    made = shard.made(group, "mod", CloseConversation("raid"), "op")
    assert shard.made(group, "mod", CloseConversation("raid"), "op") == made
    assert shard.made(group, "other", CloseConversation("late")).seq == 0
    assert shard.refused(group, "alice", action) is Reason.CLOSED
    assert shard.refused(group, "eve", action) is Reason.NOT_FOUND
    assert shard.refused(group, "eve", Join()) is Reason.NOT_FOUND
    assert shard.refused(group, "mod", RemoveMessage(2, "")) is Reason.CLOSED
    assert [(each.action, each.actor, each.reason) for each in audits_of(shard, group)] == [
        (AuditAction.CONVERSATION_CLOSED, "mod", "raid")
    ]
    assert shard.head(group).close_ms == made.time_ms


def test_a_closed_direct_conversation_stays_closed(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    shard.made(direct, "mod", CloseConversation(""))
    assert shard.refused(direct, "bob", CreateDirect("alice")) is Reason.CLOSED
    # What was accepted before is answered as before.
    group = shard.group("alice", "bob")
    first = shard.send(group, "alice", op_id="uuid")
    shard.made(group, "mod", CloseConversation(""))
    assert shard.send(group, "alice", op_id="uuid") == first


def test_the_last_decision_about_a_report_is_shown_and_each_has_a_record(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "alice", "rude")
    made = shard.made(group, "bob", Report(sent.seq, 2, "", "rude", "text"), "report/2")
    report_id = report_id_of(made.time_ms, TENANT, group, sent.seq, "bob")
    shard.made(group, "mod", ResolveReport(report_id, sent.seq, ReportStatus.DISMISSED, "fine"))
    shard.made(group, "mod", CloseConversation(""))
    again = ResolveReport(report_id, sent.seq, ReportStatus.UPHELD, "not fine")
    for _ in range(2):
        shard.made(group, "other", again, "op")
    records = [each for each in audits_of(shard, group) if each.action is AuditAction.REPORT_RESOLVED]
    assert [(each.actor, each.report_status, each.reason, each.user) for each in records] == [
        ("mod", ReportStatus.DISMISSED, "fine", "alice"),
        ("other", ReportStatus.UPHELD, "not fine", "alice"),
    ]
    _, resolution = shard.tables.resolutions[TENANT, group][report_id]
    assert resolution[:4] == (report_id, ReportStatus.UPHELD, "other", "not fine")


def test_two_acts_of_one_batch_are_two_records_and_the_order_of_ids_is_that_of_time(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    answers = shard.execute(
        *(Command(TENANT, group, "mod", user, ExcludeMember(user, "")) for user in ("bob", "carol", "bob"))
    )
    assert answers[0] == answers[2]
    assert isinstance(answers[1], Outcome)
    shard.made(group, "mod", CloseConversation(""))
    records = audits_of(shard, group)
    assert len(records) == len({each.audit_id for each in records}) == 3
    assert records[2].audit_id > max(records[0].audit_id, records[1].audit_id)
    assert shard.execute(Command(TENANT, group, "mod", "bob", ExcludeMember("carol", ""))) == [Refusal(Reason.CONFLICT)]
    assert records[0].time_ms >= NOW // 1000


@pytest.mark.parametrize("text", ["", "~", "rep_", "aud_" + "w" * 30, "rep_" + "0" * 29, "msg_" + "0" * 30])
def test_other_texts_are_no_ids_of_records(text: str) -> None:
    assert day_of(text) is None
