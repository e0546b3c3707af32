"""Who is told when a member receives or reads messages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from message_svc.actions import MarkDelivered, MarkRead, RemoveMember
from message_svc.domain import MAX_SENDERS, ReceiptMove
from tests.unit.message_svc.shards import TENANT, Shard, changes_of


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def receipts_of(shard: Shard, conversation_id: str) -> Sequence[ReceiptMove]:
    """The receipts of the last change of a conversation."""
    return changes_of(shard.entries, (TENANT, conversation_id))[-1].receipts


def told(shard: Shard, conversation_id: str) -> set[str]:
    (moved,) = receipts_of(shard, conversation_id)
    return set(moved.receivers)


def test_in_a_direct_conversation_the_other_member_gets_the_receipt(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    sent = shard.send(direct, "alice")
    shard.made(direct, "bob", MarkDelivered(sent.seq, "phone"))
    (moved,) = receipts_of(shard, direct)
    assert moved[:3] == ("bob", sent.seq, 0)
    assert moved.receivers == ("alice",)
    shard.made(direct, "bob", MarkRead(sent.seq))
    (moved,) = receipts_of(shard, direct)
    assert moved[:3] == ("bob", 0, sent.seq)


def test_in_a_group_the_senders_of_the_received_messages_get_the_receipt(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol", "dan")
    shard.send(group, "alice")
    first = shard.send(group, "bob")
    shard.made(group, "dan", MarkDelivered(first.seq, "phone"))
    assert told(shard, group) == {"alice", "bob"}
    second = shard.send(group, "carol")
    shard.made(group, "dan", MarkDelivered(second.seq, "phone"))
    assert told(shard, group) == {"carol"}
    # What was not shown as read is told now, whatever the device has received.
    shard.made(group, "dan", MarkRead(second.seq))
    assert told(shard, group) == {"alice", "bob", "carol"}


def test_former_members_get_no_receipt_and_no_one_gets_that_of_a_private_read(shard: Shard) -> None:
    group = shard.group("alice", "bob", "carol")
    sent = shard.send(group, "bob")
    shard.made(group, "alice", RemoveMember("bob"))
    shard.made(group, "carol", MarkRead(sent.seq, is_private=True))
    assert receipts_of(shard, group) == []
    shard.made(group, "carol", MarkRead(sent.seq))
    assert told(shard, group) == set()


def test_senders_are_known_after_everything_was_evicted_and_their_number_is_bounded(shard: Shard) -> None:
    people = [f"user-{number}" for number in range(MAX_SENDERS + 5)]
    group = shard.group("alice", *people)
    for user in people:
        last = shard.send(group, user)
    shard.write()
    shard.model.clear()
    shard.made(group, "alice", MarkDelivered(last.seq, "phone"))
    assert told(shard, group) == set(people[5:])
