"""What a conversation is for one of its members: archived, marked as unread, and which changes its devices are told."""

from __future__ import annotations

import pytest

from message_svc.actions import Delete, MarkRead, SetMembership, Update
from message_svc.member_views import is_archived
from tests.unit.message_svc.shards import NOW, TENANT, Shard, changes_of

HOUR_MS = 3_600_000
LATER_MS = NOW // 1_000 + HOUR_MS


class Membership:
    """A group of ann and bob, as bob sees it."""

    def __init__(self) -> None:
        self.shard = Shard()
        self.group = self.shard.group("ann", "bob")

    def set(self, **fields: bool | int) -> None:
        self.shard.made(self.group, "bob", SetMembership(**fields))  # type: ignore[arg-type]

    @property
    def archived(self) -> bool:
        return is_archived(self.shard.head(self.group), self.shard.member(self.group, "bob"))

    @property
    def marked_unread(self) -> bool:
        return self.shard.member(self.group, "bob").marked_unread

    def told(self) -> list[str]:
        """Whose devices are told, by entry."""
        return [user for change in changes_of(self.shard.entries, (TENANT, self.group)) for user in change.own_changes]


@pytest.fixture(name="bob")
def fixture_bob() -> Membership:
    return Membership()


@pytest.mark.parametrize("sender", ["ann", "bob"])
def test_a_message_brings_an_archived_conversation_back(bob: Membership, sender: str) -> None:
    bob.set(archived=True)
    assert bob.archived
    bob.shard.made(bob.group, "ann", Update("New name", None))
    assert bob.archived, "only messages bring it back"
    bob.shard.send(bob.group, sender)
    assert not bob.archived


def test_an_archived_conversation_is_archived_for_the_one_member_alone(bob: Membership) -> None:
    bob.set(archived=True)
    assert not is_archived(bob.shard.head(bob.group), bob.shard.member(bob.group, "ann"))


def test_a_muted_conversation_stays_archived_until_a_message_comes_after_the_mute(bob: Membership) -> None:
    bob.set(archived=True, mute_until_ms=LATER_MS)
    bob.shard.send(bob.group, "ann")
    assert bob.archived
    bob.set(mute_until_ms=0)
    assert bob.archived, "what came while it was muted does not bring it back"
    bob.shard.send(bob.group, "ann")
    assert not bob.archived


def test_the_end_of_the_time_of_a_mute_is_the_end_of_its_silence(bob: Membership) -> None:
    bob.set(archived=True, mute_until_ms=LATER_MS)
    bob.shard.stamp += HOUR_MS * 1_000
    assert bob.archived
    bob.shard.send(bob.group, "ann")
    assert not bob.archived


def test_a_mute_archives_nothing_again(bob: Membership) -> None:
    bob.set(archived=True)
    bob.shard.send(bob.group, "ann")
    bob.set(mute_until_ms=LATER_MS)
    assert not bob.archived


def test_an_archived_conversation_is_brought_back_by_its_member(bob: Membership) -> None:
    bob.set(archived=True)
    bob.set(archived=False)
    assert not bob.archived


@pytest.mark.parametrize("is_deleted", [False, True])
def test_reading_ends_the_mark_also_where_the_cursor_does_not_move(bob: Membership, is_deleted: bool) -> None:
    sent = bob.shard.send(bob.group, "ann")
    bob.shard.made(bob.group, "bob", MarkRead(sent.seq))
    before = bob.shard.member(bob.group, "bob")
    bob.set(marked_unread=True)
    assert bob.marked_unread
    assert bob.shard.member(bob.group, "bob").read_seq == before.read_seq
    assert bob.shard.unread(bob.group, "bob") == 0
    if is_deleted:
        bob.shard.made(bob.group, "ann", Delete(sent.seq))
    bob.shard.made(bob.group, "bob", MarkRead(sent.seq))
    assert bob.shard.member(bob.group, "bob") == before


def test_a_message_of_the_member_ends_the_mark_and_one_of_others_does_not(bob: Membership) -> None:
    bob.set(marked_unread=True)
    bob.shard.send(bob.group, "ann")
    assert bob.marked_unread
    bob.shard.send(bob.group, "bob")
    assert not bob.marked_unread


def test_a_member_is_told_of_its_own_changes_and_of_nothing_else(bob: Membership) -> None:
    sent = bob.shard.send(bob.group, "ann")
    assert bob.told() == []
    for fields in ({"pinned": True}, {"mute_until_ms": 5}, {"archived": True}, {"marked_unread": True}):
        bob.set(**fields)
        bob.set(**fields)  # changes nothing
    bob.shard.made(bob.group, "bob", MarkRead(sent.seq))
    bob.shard.made(bob.group, "bob", MarkRead(sent.seq))
    assert bob.told() == ["bob"] * 5
    bob.set(marked_unread=True)
    bob.shard.send(bob.group, "bob")
    assert bob.told() == ["bob"] * 7
