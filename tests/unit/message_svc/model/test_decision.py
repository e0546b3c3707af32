"""What members may do, and what comes of it."""

from __future__ import annotations

import pytest

from kit.message_ids import direct_id
from message_svc.actions import (
    Action,
    AddMembers,
    Convert,
    CreateDirect,
    CreateGroup,
    Delete,
    Edit,
    Join,
    Leave,
    MarkDelivered,
    MarkRead,
    RemoveMember,
    Send,
    SetMembership,
    SetRole,
    Update,
)
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import Body, ItemType, Kind, Role
from tests.unit.message_svc.shards import TENANT, Shard, items_of


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def people(count: int) -> list[str]:
    return [f"user-{number}" for number in range(count)]


def test_a_hundred_concurrent_commands_create_one_direct_conversation() -> None:
    shard = Shard()
    conversation_id = direct_id(TENANT, "alice", "bob")
    racers = [("alice", "bob"), ("bob", "alice")] * 50
    answers = shard.execute(
        *(Command(TENANT, conversation_id, user, "", CreateDirect(other)) for user, other in racers)
    )
    assert {answer.seq for answer in answers if isinstance(answer, Outcome)} == {1}
    head = shard.head(conversation_id)
    assert (head.kind, head.members, head.last_seq) == (Kind.DIRECT, 2, 1)


def test_messages_edits_deletions_and_changes_of_members_are_numbered_together(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    first = shard.send(group, "bob")
    shard.made(group, "bob", Edit(first.seq, "hello"))
    shard.made(group, "alice", AddMembers(("carol",)))
    shard.made(group, "alice", Delete(first.seq))
    second = shard.send(group, "carol")
    items = items_of(shard.entries, group)
    assert [item.seq for item in items] == [1, 2, 3, 4, 5, 6]
    assert [item.type for item in items][2:5] == [ItemType.EDIT, ItemType.MEMBERS_ADDED, ItemType.DELETE]
    assert (first.ordinal, second.ordinal) == (1, 2)


def test_a_retry_returns_the_same_message_and_another_body_is_refused(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    first = shard.send(direct, "alice", "hi", "uuid-456")
    assert shard.send(direct, "alice", "hi", "uuid-456") == first
    assert shard.refused(direct, "alice", Send(Body("other")), "uuid-456") is Reason.CONFLICT
    assert shard.refused(direct, "alice", Delete(first.seq), "uuid-456") is Reason.CONFLICT
    # The ids of each user are their own.
    assert shard.send(direct, "bob", "hi", "uuid-456").seq == first.seq + 1


def test_a_retry_is_recognised_after_everything_was_evicted(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    first = shard.send(direct, "alice", "hi", "uuid-456")
    shard.write()
    other = Shard(tables=shard.tables)
    assert other.send(direct, "alice", "hi", "uuid-456") == first
    assert other.refused(direct, "alice", Send(Body("other")), "uuid-456") is Reason.CONFLICT


def test_a_retry_of_a_change_that_changed_nothing_changes_nothing_later(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    assert shard.made(group, "alice", Update("Team", None), "1").seq == 0
    shard.made(group, "alice", Update("Other", None), "2")
    assert shard.made(group, "alice", Update("Team", None), "1").seq == 0
    assert shard.head(group).name == "Other"


def test_users_who_are_not_members_find_no_conversation(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    message = shard.send(group, "alice")
    shard.made(group, "alice", RemoveMember("bob"))
    actions: list[Action] = [
        Send(Body("hi")), Edit(message.seq, "x"), Delete(message.seq), Update("x", None), AddMembers(("eve",)),
        RemoveMember("alice"), Join(), SetRole("eve", Role.ADMIN), Convert(), MarkRead(message.seq),
        MarkDelivered(message.seq), SetMembership(1, True),
    ]  # fmt: skip
    for action in actions:
        for user in ("eve", "bob"):
            assert shard.refused(group, user, action) is Reason.NOT_FOUND, (user, action)
        assert shard.refused("conv_unknown", "alice", action) is Reason.NOT_FOUND
    assert shard.refused(group, "eve", Leave()) is Reason.NOT_FOUND


def test_only_admins_manage_a_group_and_no_one_manages_a_direct_conversation(shard: Shard) -> None:
    group, direct = shard.group("alice", "bob"), shard.direct("alice", "bob")
    for action in (
        Update("x", None),
        AddMembers(("eve",)),
        RemoveMember("alice"),
        SetRole("bob", Role.ADMIN),
        Convert(),
    ):
        assert shard.refused(group, "bob", action) is Reason.ADMINS_ONLY
        assert shard.refused(direct, "bob", action) is Reason.WRONG_KIND
    assert shard.refused(direct, "bob", Leave()) is Reason.WRONG_KIND


def test_the_501st_member_is_refused(shard: Shard) -> None:
    names = people(501)
    refused = shard.do("conv_x", names[0], CreateGroup("Team", "", tuple(names[1:])))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.GROUP_FULL
    group = shard.group(*names[:499])
    assert shard.refused(group, names[0], AddMembers(("a", "b"))) is Reason.GROUP_FULL
    shard.made(group, names[0], AddMembers(("a", names[1])))
    assert shard.head(group).members == 500
    assert shard.refused(group, names[0], AddMembers(("b",))) is Reason.GROUP_FULL
    shard.made(group, names[0], Leave())
    assert shard.head(group).members == 499


def test_the_member_who_joined_first_becomes_admin_after_the_last_one(shard: Shard) -> None:
    group = shard.group("zoe")
    shard.made(group, "zoe", AddMembers(("carol",)))
    shard.made(group, "zoe", AddMembers(("bob",)))
    left = shard.made(group, "zoe", Leave())
    assert shard.member(group, "carol").role is Role.ADMIN
    assert items_of(shard.entries, group)[-1].type is ItemType.ROLE_CHANGED
    assert (shard.head(group).admins, shard.head(group).last_seq) == (1, left.seq + 1)
    assert shard.made(group, "zoe", Leave()).seq == 0
    assert shard.refused(group, "carol", SetRole("carol", Role.MEMBER)) is Reason.LAST_ADMIN
    shard.made(group, "carol", Leave())
    shard.made(group, "bob", Leave())
    assert (shard.head(group).admins, shard.head(group).members) == (0, 0)


def test_a_group_becomes_a_channel_only_by_its_own_command(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    assert shard.refused(group, "eve", Join()) is Reason.NOT_FOUND
    shard.made(group, "alice", Convert())
    assert shard.made(group, "alice", Convert()).seq == 0
    shard.made(group, "eve", Join())
    assert shard.made(group, "eve", Join()).seq == 0
    message = shard.send(group, "alice")
    assert shard.refused(group, "eve", Send(Body("hi"))) is Reason.ADMINS_ONLY
    assert shard.refused(group, "eve", MarkDelivered(message.seq)) is Reason.NO_RECEIPTS
    read = shard.made(group, "eve", MarkRead(message.seq)).member
    assert read is not None
    assert (read.read_seq, read.shown_read_seq) == (message.seq, 0)
    assert shard.refused(group, "alice", Leave()) is Reason.LAST_ADMIN
    shard.made(group, "alice", AddMembers(tuple(people(500))))
    assert shard.head(group).members == 503


def test_unread_messages_are_exact(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    sent = [shard.send(group, "alice") for _ in range(4)]
    assert [shard.unread(group, user) for user in ("alice", "bob")] == [0, 4]
    shard.made(group, "alice", Delete(sent[2].seq))
    assert shard.unread(group, "bob") == 3
    shard.made(group, "bob", MarkRead(sent[1].seq))
    assert shard.unread(group, "bob") == 1
    # What was deleted after it was read changes nothing.
    shard.made(group, "alice", Delete(sent[0].seq))
    assert shard.unread(group, "bob") == 1
    shard.made(group, "alice", AddMembers(("dave",)))
    assert shard.unread(group, "dave") == 0
    shard.send(group, "bob")
    assert [shard.unread(group, user) for user in ("alice", "bob", "carol", "dave")] == [1, 0, 3, 1]


def test_receipts_never_decrease_and_never_exceed_the_last_message(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    first, second = shard.send(direct, "alice"), shard.send(direct, "alice")
    for action in (MarkRead(second.seq + 1), MarkRead(1), MarkDelivered(second.seq + 1, "phone"), MarkDelivered(1)):
        assert shard.refused(direct, "bob", action) is Reason.NO_MESSAGE
    shard.made(direct, "bob", MarkDelivered(second.seq, "phone"))
    shard.made(direct, "bob", MarkDelivered(first.seq, "phone"))
    shard.made(direct, "bob", MarkDelivered(first.seq, "laptop"))
    shard.made(direct, "bob", MarkRead(second.seq, is_private=True))
    shard.made(direct, "bob", MarkRead(first.seq))
    bob = shard.member(direct, "bob")
    assert dict(bob.devices) == {"phone": second.seq, "laptop": first.seq}
    assert (bob.delivered_seq, bob.read_seq, bob.shown_read_seq) == (second.seq, second.seq, first.seq)


def test_of_two_messages_for_one_epoch_the_first_is_accepted(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    won = shard.made(direct, "alice", Send(Body("a"), expect_epoch=0), "1")
    lost = shard.do(direct, "bob", Send(Body("b"), expect_epoch=0), "2")
    assert lost == Refusal(Reason.EPOCH_CHANGED, 1, won.seq)
    assert shard.made(direct, "alice", Send(Body("a"), expect_epoch=0), "1") == won
    assert shard.do(direct, "bob", Send(Body("b"), expect_epoch=0), "2") == lost
    shard.made(direct, "bob", Send(Body("b"), expect_epoch=1), "3")


def test_only_the_sender_edits_and_admins_delete(shard: Shard) -> None:
    group, direct = shard.group("alice", "bob"), shard.direct("alice", "bob")
    of_bob, of_alice = shard.send(group, "bob"), shard.send(group, "alice")
    assert shard.refused(group, "alice", Edit(of_bob.seq, "x")) is Reason.NOT_SENDER
    assert shard.refused(group, "bob", Delete(of_alice.seq)) is Reason.NOT_SENDER
    assert shard.refused(direct, "alice", Delete(shard.send(direct, "bob").seq)) is Reason.NOT_SENDER
    shard.made(group, "alice", Delete(of_bob.seq))
    assert shard.made(group, "bob", Delete(of_bob.seq)).seq == 0
    assert shard.refused(group, "bob", Edit(of_bob.seq, "x")) is Reason.DELETED
    assert shard.refused(group, "bob", Edit(1, "x")) is Reason.NO_MESSAGE


def test_a_member_who_rejoins_does_not_read_messages_sent_during_the_absence(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    before = shard.send(group, "alice")
    shard.made(group, "alice", RemoveMember("bob"))
    meanwhile = shard.send(group, "alice")
    shard.made(group, "alice", AddMembers(("bob",)))
    after = shard.send(group, "alice")
    assert shard.refused(group, "bob", Send(Body("?", reply_to=meanwhile.seq))) is Reason.NO_MESSAGE
    assert shard.refused(group, "bob", MarkRead(meanwhile.seq)) is Reason.NO_MESSAGE
    for seen in (before, after):
        shard.made(group, "bob", Send(Body("!", reply_to=seen.seq)))


def test_a_refusal_for_a_member_is_stored_permanently(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    assert shard.refused(group, "bob", Update("x", None), "1") is Reason.ADMINS_ONLY
    shard.made(group, "alice", SetRole("bob", Role.ADMIN))
    assert shard.refused(group, "bob", Update("x", None), "1") is Reason.ADMINS_ONLY
    shard.made(group, "bob", Update("x", None), "2")
    # Those who are no members store nothing.
    entries = len(shard.entries)
    assert shard.refused(group, "eve", Update("x", None), "1") is Reason.NOT_FOUND
    assert len(shard.entries) == entries


def test_times_never_decrease_within_a_conversation(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    first = shard.send(direct, "alice")
    shard.stamp -= 60_000_000
    assert shard.send(direct, "bob").time_ms == first.time_ms
