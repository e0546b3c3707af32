"""What the simulation knows of the members of a conversation."""

from __future__ import annotations

from message_svc.domain import ConversationChange, Head, Item, ItemType, Kind, Member, Role, Span
from tests.simulation.messages.reference import ConversationReference

KEY = ("acme", "conv_1")


def change(stamp: int, row: Member, items: list[Item]) -> ConversationChange:
    head = Head(Kind.GROUP, "", "", "ann", 0, 0, items[-1].seq, members=1, stamp=stamp)
    return ConversationChange(KEY, head, items, {row.user: row}, ())


def test_who_leaves_and_comes_back_within_one_entry_was_no_member_all_the_time() -> None:
    known = ConversationReference(KEY)
    joined = Member("bob", Role.MEMBER, 1, (Span(1, 0),))
    known.apply(change(1, joined, [Item(1, ItemType.CREATED, "bob", 0, 0)]), 4)
    assert known.was_member("bob", 4, 12)
    back = Member("bob", Role.MEMBER, 3, (Span(1, 2), Span(3, 0)))
    left = Item(2, ItemType.MEMBER_LEFT, "bob", 0, 0)
    known.apply(change(2, back, [left, Item(3, ItemType.MEMBERS_ADDED, "ann", 0, 0)]), 13)
    assert not known.was_member("bob", 7, 14)
    assert known.was_member("bob", 13, 14)
