"""What is left in a conversation of a user that is erased."""

from __future__ import annotations

import pytest

from message_svc.actions import (
    AddMembers,
    CloseConversation,
    Convert,
    EraseMember,
    EraseMessages,
    EraseReports,
    MarkDelivered,
    MarkRead,
    RemoveMember,
    Report,
    Send,
    SetMembership,
)
from message_svc.commands import Reason
from message_svc.domain import Body, ItemType, Kind, Role, Span
from tests.unit.message_svc.shards import TENANT, Shard, items_of


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def test_only_messages_of_the_user_become_tombstones_and_numbers_go_on(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    mine = [shard.send(group, "bob").seq for _ in range(3)]
    other = shard.send(group, "alice").seq
    shard.made(group, "bob", EraseMessages((*mine, other, 99, 1)))
    items = items_of(shard.entries, group)
    assert [item.seq for item in items] == list(range(1, 9))
    assert [(item.type, item.actor, item.subject) for item in items[5:]] == [
        (ItemType.DELETE, "bob", seq) for seq in mine
    ]
    assert shard.unread(group, "alice") == 0
    # Again, it changes nothing.
    assert shard.made(group, "bob", EraseMessages(tuple(mine))).seq == 0


def test_messages_of_a_former_member_are_erased_too_and_its_row_is_deleted(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "bob").seq
    shard.made(group, "alice", RemoveMember("bob"))
    shard.write()
    loaded = Shard(tables=shard.tables)
    assert loaded.made(group, "bob", EraseMessages((sent,))).seq == sent + 2
    assert loaded.made(group, "bob", EraseMember()).seq == 0
    assert loaded.member(group, "bob").spans == ()
    assert loaded.refused(group, "bob", EraseMember()) is Reason.NOT_FOUND
    assert Shard(tables=loaded.tables).refused(group, "bob", MarkRead(sent)) is Reason.NOT_FOUND


def test_a_member_leaves_and_comes_back_as_a_new_one(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "alice").seq
    shard.made(group, "bob", MarkDelivered(sent, "phone"))
    shard.made(group, "bob", MarkRead(sent))
    left = shard.made(group, "bob", EraseMember())
    assert items_of(shard.entries, group)[-1].type is ItemType.MEMBER_LEFT
    assert (shard.head(group).members, shard.head(group).admins) == (1, 1)
    assert shard.refused(group, "bob", Send(Body("x"))) is Reason.NOT_FOUND
    joined = shard.made(group, "alice", AddMembers(("bob",)))
    row = shard.member(group, "bob")
    assert joined.seq == left.seq + 1
    assert (row.spans, row.devices, row.shown_read_seq) == ((Span(joined.seq),), (), 0)


def test_the_first_member_follows_the_last_admin_of_a_group(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    shard.made(group, "alice", EraseMember())
    assert shard.member(group, "bob").role is Role.ADMIN
    assert (shard.head(group).members, shard.head(group).admins) == (2, 1)


def test_the_named_member_follows_the_last_admin_of_a_channel(shard: Shard) -> None:
    channel = shard.group("alice", "bob", "carol")
    shard.made(channel, "alice", Convert())
    for successor in ("", "eve", "alice"):
        assert shard.refused(channel, "alice", EraseMember(successor)) is Reason.LAST_ADMIN
    shard.made(channel, "alice", EraseMember("carol"))
    assert shard.member(channel, "carol").role is Role.ADMIN
    assert (shard.head(channel).members, shard.head(channel).admins) == (2, 1)


def test_the_last_member_leaves_an_empty_group(shard: Shard) -> None:
    group = shard.group("alice")
    shard.made(group, "alice", EraseMember())
    assert (shard.head(group).members, shard.head(group).admins) == (0, 0)


def test_a_direct_conversation_keeps_two_members_one_of_which_is_new(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    sent = shard.send(direct, "alice").seq
    shard.made(direct, "bob", MarkRead(sent))
    shard.made(direct, "bob", MarkDelivered(sent, "phone"))
    shard.made(direct, "bob", SetMembership(5, True))
    shard.made(direct, "bob", EraseMember())
    head, row = shard.head(direct), shard.member(direct, "bob")
    assert (head.kind, head.members, head.last_seq) == (Kind.DIRECT, 2, sent)
    assert (row.role, row.spans, row.devices) == (Role.MEMBER, (Span(sent + 1),), ())
    assert (row.shown_read_seq, row.delivered_seq, row.mute_until_ms, row.pinned) == (0, 0, 0, False)
    assert shard.unread(direct, "bob") == 0
    shard.send(direct, "alice")
    shard.send(direct, "bob")
    assert shard.unread(direct, "alice") == 1
    assert TENANT in shard.tables.heads.popitem()[0]


def test_reports_stay_without_an_erased_reporter_also_when_an_old_entry_is_written_again(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    sent = shard.send(group, "alice", "rude").seq
    shard.made(group, "bob", Report(sent, 2, "by bob", "rude", "text"), f"report/{sent}")
    old_writes = shard.model.table_writes(shard.applied, len(shard.entries))
    shard.write()
    (report_id,) = shard.tables.reports[TENANT, group]
    shard.made(group, "mod", CloseConversation(""))
    shard.made(group, "bob", EraseMember())
    last_seq = shard.head(group).last_seq
    assert shard.made(group, "bob", EraseReports((report_id,))).seq == 0
    shard.write()
    for step in shard.tables.steps(old_writes):
        step()
    (report,) = shard.tables.reports[TENANT, group].values()
    assert (report.reporter, report.comment, report.sender, report.content) == ("", "", "alice", "rude")
    assert shard.head(group).last_seq == last_seq
