"""Pushes of groups around a hundred members and around the limit: each member gets each item of its time once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout_svc import message_codec
from fanout_svc.conversation_pushes import ItemPush, MemberList
from fanout_svc.message_entries import MessageEntries
from fanout_svc.own_changes import OwnChangePushes
from fanout_svc.receipts import ReceiptPushes
from kit.clock import ManualClock
from kit.event_log.ports import Record
from message_svc.actions import Action, AddMembers, Leave, RemoveMember, Send
from message_svc.codec import responses
from message_svc.domain import MAX_MEMBERS, Body, ItemType
from tests.unit.fanout_svc.stage import Stage
from tests.unit.message_svc.shards import TENANT, Shard, items_of

ADMIN = "user-0"
# What a step does: a member sends, one is added, one is removed, one leaves.
steps = st.lists(
    st.tuples(st.sampled_from(("send", "send", "add", "remove", "leave")), st.integers(0, 500)), max_size=8
)


class TableMembers:
    """The members as message_svc answers them."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def get(self, tenant: str, conversation_id: str) -> MemberList:
        rows = [row for _, row in self._shard.tables.members[tenant, conversation_id].values()]
        epoch = self._shard.head(conversation_id).members_epoch
        return message_codec.members_from_pb(responses.member_ids_to_pb(epoch, rows).SerializeToString())


def action_of(kind: str, number: int, present: list[str]) -> tuple[str, Action]:
    """The user of a step, and what it does. `present`: the members, the admin first; it is kept."""
    other = present[1 + number % (len(present) - 1)]
    if kind == "add" and len(present) < MAX_MEMBERS and f"more-{number}" not in present:
        present.append(f"more-{number}")
        return ADMIN, AddMembers((present[-1],))
    if kind in ("remove", "leave"):
        present.remove(other)
        return (ADMIN, RemoveMember(other)) if kind == "remove" else (other, Leave())
    return other, Send(Body(kind))


@pytest.mark.parametrize("size", [99, 100, 101, 499, 500])
@settings(max_examples=12, deadline=None)
@given(steps)
def test_each_member_gets_each_item_of_its_membership_once(size: int, walk: list[tuple[str, int]]) -> None:
    asyncio.run(walked(size, walk))


async def walked(size: int, walk: list[tuple[str, int]]) -> None:
    shard, stage = Shard(), Stage()
    receipts = ReceiptPushes(stage.fanout.interest, stage.nodes, ManualClock())
    own_changes = OwnChangePushes(stage.fanout.interest, stage.nodes, ManualClock())
    entries = MessageEntries(stage.fanout, receipts, own_changes, TableMembers(shard))
    present = [f"user-{number}" for number in range(size)]
    # Users of two nodes, each of whom is connected to one or both.
    everyone = [*present, *(f"more-{number}" for number in range(MAX_MEMBERS + 1))]
    stage.wants("n1", *((TENANT, f"users/{user}") for user in everyone[::2]))
    stage.wants("n2", *((TENANT, f"users/{user}") for user in everyone[::3]))
    group = shard.group(*present)
    expected: dict[str, list[int]] = {user: [] for user in everyone}
    members: set[str] = set()
    for step in [None, ("send", 1), *walk, ("send", 2)]:
        if step is not None:
            user, action = action_of(*step, present)
            shard.made(group, user, action)
        shard.write()
        entry = shard.entries[-1]
        await entries.apply(0, entries.decode(Record(entry.position, f"one/0/{entry.position}", entry.payload)))
        item = items_of(shard.entries, group)[-1]
        members |= set(item.users) if item.type in (ItemType.CREATED, ItemType.MEMBERS_ADDED) else set()
        for user in members:
            expected[user].append(item.seq)
        members -= set(item.users) if item.type in (ItemType.MEMBER_REMOVED, ItemType.MEMBER_LEFT) else set()
    assert members == set(present)
    assert pushed(stage, "n1") == {user: expected[user] for user in everyone[::2] if expected[user]}
    assert pushed(stage, "n2") == {user: expected[user] for user in everyone[::3] if expected[user]}


def pushed(stage: Stage, node_id: str) -> dict[str, list[int]]:
    """The numbers of the items that a node got for each of its users."""
    found: dict[str, list[int]] = {}
    for one in stage.nodes.got[node_id]:
        for topic in one.topics if isinstance(one, ItemPush) else ():
            found.setdefault(topic.removeprefix("users/"), []).append(one.version)
    return found
