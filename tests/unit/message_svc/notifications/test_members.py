"""The members of recently used conversations."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import Unavailable
from message_svc.domain import ConversationChange, Head, Kind, Member, Role, Span
from message_svc.notifications.members import RecentMembers

KEY = ("acme", "conv_1")
BOB = Member("bob", Role.MEMBER, 1, (Span(1),), read_seq=3, delivered_seq=7)


class Reads:
    """Tables with one conversation."""

    def __init__(self, epoch: int, *members: Member) -> None:
        self.epoch = epoch
        self.members = members
        self.reads = 0

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Any]:
        self.reads += 1
        return self.epoch, self.members


def recent(reads: Reads, rows: int = 100) -> RecentMembers:
    tables: Any = reads
    return RecentMembers(tables, rows)


def change(*members: Member) -> ConversationChange:
    head = Head(Kind.GROUP, "", "", "alice", 0, 0, 9)
    return ConversationChange(KEY, head, (), {one.user: one for one in members}, ())


async def test_tables_that_are_behind_the_log_are_not_used() -> None:
    # Otherwise the first message of a new conversation would notify nobody.
    reads = Reads(0)
    members = recent(reads)
    with pytest.raises(Unavailable):
        await members.of(KEY, 1)
    reads.epoch, reads.members = 1, (BOB,)
    assert await members.of(KEY, 1) == {"bob": BOB}


async def test_entries_change_the_members_in_memory_and_no_cursor_moves_back() -> None:
    reads = Reads(1, BOB)
    members = recent(reads)
    await members.of(KEY, 1)
    carol = BOB._replace(user="carol")
    members.apply(change(carol, BOB._replace(read_seq=5, delivered_seq=6, mute_until_ms=9)))
    assert await members.of(KEY, 1) == {
        "bob": BOB._replace(read_seq=5, delivered_seq=7, mute_until_ms=9), "carol": carol,
    }  # fmt: skip
    members.apply(change(carol._replace(role=Role.NONE)))
    assert list(await members.of(KEY, 1)) == ["bob"]
    assert reads.reads == 1


async def test_the_longest_unused_conversation_is_dropped_first_and_a_gap_drops_all() -> None:
    reads = Reads(1, BOB)
    members = recent(reads, rows=2)
    keys = [("acme", f"conv_{number}") for number in range(3)]
    for key in (*keys, keys[1]):
        await members.of(key, 1)
    assert reads.reads == 3
    await members.of(keys[0], 1)
    assert reads.reads == 4
    members.clear()
    await members.of(keys[0], 1)
    assert reads.reads == 5
