"""Random walks: whatever members do, the log is gap-free, rows follow from it, and unread messages are exact."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from message_svc.actions import (
    WITHOUT_OP_ID,
    Action,
    AddMembers,
    Convert,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    Join,
    Leave,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RemoveMember,
    Send,
    SetDraft,
    SetMembership,
    SetRole,
    UnpinMessage,
    Update,
)
from message_svc.commands import Outcome
from message_svc.domain import Body, Item, ItemType, Kind, Member, Pin, Role
from message_svc.model import conversation
from message_svc.model.model import ModelLimits
from tests.unit.message_svc.shards import NOW, TENANT, Shard, items_of, unread_by_log

USERS = ("ann", "bob", "cid", "dan")
users = st.sampled_from(USERS)
seqs = st.integers(1, 14)
NONE = st.just(())
bodies = st.builds(Body, st.sampled_from("xyz"), st.just("text"), st.sampled_from((0, 0, 2, 3)), NONE, NONE, st.just(0))
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Send, bodies, st.just(-1)),
    st.builds(Send, bodies, st.sampled_from((-1, 0, 1))),
    st.builds(Edit, seqs, st.sampled_from("xyz"), NONE, NONE),
    st.builds(Delete, seqs),
    st.builds(PinMessage, seqs),
    st.builds(UnpinMessage, seqs),
    st.builds(MarkRead, seqs, st.booleans()),
    st.builds(MarkDelivered, seqs, st.sampled_from(("phone", "laptop"))),
    st.builds(AddMembers, st.lists(users, min_size=1, max_size=2).map(tuple)),
    st.builds(RemoveMember, users),
    st.builds(Leave),
    st.builds(EraseMessages, st.lists(seqs, max_size=5).map(tuple)),
    st.builds(EraseMember, users),
    st.builds(Join),
    st.builds(SetRole, users, st.sampled_from((Role.MEMBER, Role.ADMIN))),
    st.builds(Update, st.sampled_from((None, "A", "B")), st.none()),
    st.builds(SetDraft, st.sampled_from(("", "x", "y"))),
    st.builds(
        SetMembership,
        st.sampled_from((None, 5, (NOW + 1_000_000) // 1_000)),
        *[st.sampled_from((None, True, False))] * 3,
    ),
)
steps = st.lists(st.tuples(users, actions, st.sampled_from(("", "", "a", "b")), st.booleans()), min_size=1, max_size=40)


class Oracle:
    """What the log itself says of members, and what each has read."""

    def __init__(self) -> None:
        self.roles: dict[str, Role] = {}
        self.read: dict[str, int] = {}
        self.ordinal = self.last_seq = 0

    def apply(self, item: Item) -> None:
        assert item.seq == self.last_seq + 1
        self.last_seq = item.seq
        if item.type is ItemType.MESSAGE:
            self.ordinal += 1
            self.read[item.actor] = item.seq
        assert item.ordinal == self.ordinal
        if item.type in (ItemType.CREATED, ItemType.MEMBERS_ADDED):
            for user in item.users:
                assert self.roles.get(user, Role.NONE) is Role.NONE
                is_creator = item.type is ItemType.CREATED and user == item.actor
                self.roles[user] = Role.ADMIN if is_creator else Role.MEMBER
                self.read[user] = item.seq
        if item.type in (ItemType.MEMBER_LEFT, ItemType.MEMBER_REMOVED):
            for user in item.users:
                assert self.roles[user] is not Role.NONE
                self.roles[user] = Role.NONE
        if item.type is ItemType.ROLE_CHANGED:
            self.roles[item.users[0]] = item.role


def pins_by_log(items: list[Item]) -> list[Pin]:
    """The pinned messages, as the log itself says."""
    pins: dict[int, Pin] = {}
    for item in items:
        if item.type is ItemType.PINNED:
            assert item.subject not in pins, "a message is pinned twice"
            pins[item.subject] = Pin(item.subject, item.seq)
        elif item.type in (ItemType.UNPINNED, ItemType.DELETE):
            pins.pop(item.subject, None)
    return list(pins.values())


def check(shard: Shard, group: str, oracle: Oracle, before: dict[str, Member]) -> dict[str, Member]:
    """Compares the rows with the log; returns the rows of the members."""
    head = shard.head(group)
    rows = {user: row for user, (_, row) in shard.tables.members[TENANT, group].items()}
    items = items_of(shard.entries, group)
    assert (head.last_seq, head.ordinal) == (oracle.last_seq, oracle.ordinal)
    assert {user: row.role for user, row in rows.items()} == oracle.roles
    assert head.members == sum(role is not Role.NONE for role in oracle.roles.values())
    assert head.admins == sum(role is Role.ADMIN for role in oracle.roles.values())
    assert head.admins or not head.members
    assert list(head.pinned) == pins_by_log(items)
    for user, row in rows.items():
        if not row.spans:
            continue  # deleted
        assert row.read_seq == oracle.read[user]
        assert shard.unread(group, user) == unread_by_log(items, oracle.read[user])
        assert row.shown_read_seq <= max(row.read_seq, before[user].shown_read_seq if user in before else 0)
        if user in before:
            assert row.shown_read_seq >= before[user].shown_read_seq
            assert row.delivered_seq >= before[user].delivered_seq
            assert row.read_seq >= before[user].read_seq
    return rows


@settings(max_examples=150, deadline=None)
@given(steps, st.sampled_from((1, 1_000)), st.sampled_from((2, 100)), st.booleans())
def test_rows_and_unread_messages_follow_from_the_log(
    walk: list[tuple[str, Action, str, bool]], weight: int, answers: int, is_channel: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "ANSWERS_PER_GENERATION", answers)
        shard = Shard(ModelLimits(weight))
        group = shard.group("ann", "bob", "cid")
        if is_channel:
            shard.made(group, "ann", Convert())
        oracle, seen = Oracle(), 0
        rows: dict[str, Member] = {}
        made: dict[tuple[str, str], tuple[Action, Outcome]] = {}
        for user, action, op_id, is_written in walk:
            before = shard.do(group, user, action, op_id)
            # Types, too: `Leave()` and `Join()` are equal tuples.
            if (
                op_id
                and (user, op_id) in made
                and (type(action), action)
                == (
                    type(made[user, op_id][0]),
                    made[user, op_id][0],
                )
            ):
                assert before == made[user, op_id][1], "a retry has another answer"
            if op_id and isinstance(before, Outcome) and not isinstance(action, WITHOUT_OP_ID):
                made.setdefault((user, op_id), (action, before))
            items = items_of(shard.entries, group)
            for item in items[seen:]:
                oracle.apply(item)
            seen = len(items)
            if isinstance(action, MarkRead) and isinstance(before, Outcome):
                oracle.read[user] = max(action.seq, oracle.read[user])
            if is_written:
                rows = check(shard, group, oracle, rows)
        check(shard, group, oracle, rows)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 40))
def test_another_node_that_reads_the_entries_has_the_same_state(walk: list[Any], written: int) -> None:
    shard = Shard()
    group = shard.group("ann", "bob", "cid")
    for number, (user, action, op_id, _) in enumerate(walk):
        shard.do(group, user, action, op_id)
        if number == written:
            shard.write()
    # It loads what the tables have, and overlays the entries since.
    other = Shard(tables=shard.tables)
    for entry in shard.entries:
        other.model.replay(entry)
    other.entries = list(shard.entries)
    other.stamp = shard.stamp
    command_user = random.Random(written).choice(USERS)
    assert other.do(group, command_user, Send(Body("last")), "last") == shard.do(
        group, command_user, Send(Body("last")), "last"
    )
    shard.write()
    other.write()
    assert other.tables.members == shard.tables.members


@pytest.mark.parametrize("size", [99, 100, 101])
def test_a_group_that_grows_and_shrinks_around_a_hundred_keeps_order_and_unread_messages(size: int) -> None:
    shard = Shard()
    names = [f"user-{number}" for number in range(102)]
    group = shard.group(*names[:98])
    sent = 0
    for number in range(98, size):
        shard.made(group, names[0], AddMembers((names[number],)))
        shard.send(group, names[number])
        sent += 1
    for number in range(98, size):
        shard.made(group, names[number], Leave())
        shard.send(group, names[1])
        sent += 1
    head = shard.head(group)
    assert (head.kind, head.members, head.ordinal) == (Kind.GROUP, 98, sent)
    assert [item.seq for item in items_of(shard.entries, group)] == list(range(1, head.last_seq + 1))
    assert shard.unread(group, names[5]) == sent
