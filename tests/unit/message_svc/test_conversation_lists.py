"""When conversations are written to the lists of their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kit.errors import Unavailable
from message_svc.conversation_lists import SMALL_MEMBERS, ConversationLists, ListEntry
from message_svc.domain import ConversationChange, Head, Item, ItemType, Kind, Member, Role, Span

KEY = ("acme", "conv_1")


class Tables:
    """A conversation with two members and a former one, and the rows that were saved."""

    def __init__(self) -> None:
        self.saved: list[ListEntry] = []
        self.failures = self.reads = 0

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        self.reads += 1
        roles = {"ann": Role.ADMIN, "bob": Role.MEMBER, "eve": Role.NONE}
        return 1, [Member(user, role, 1, (Span(1),)) for user, role in roles.items()]

    async def save(self, entries: Sequence[ListEntry]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the tables cannot be written")
        self.saved += entries


@pytest.fixture(name="tables")
def fixture_tables() -> Tables:
    return Tables()


@pytest.fixture(name="lists")
def fixture_lists(tables: Any) -> ConversationLists:
    return ConversationLists(tables, tables)


def change(
    update_ms: int, members: int = 2, type_: ItemType = ItemType.MESSAGE, users: int = 0, kind: Kind = Kind.GROUP
) -> ConversationChange:
    head = Head(kind, "Team", "", "ann", 1, update_ms, 5, members=members, members_epoch=1)
    item = Item(5, type_, "ann", update_ms, 1, users=tuple(f"u{number}" for number in range(users)))
    return ConversationChange(KEY, head, [item], {}, [])


async def test_several_changes_are_written_once_for_each_member(lists: ConversationLists, tables: Tables) -> None:
    lists.record([change(1)])
    lists.record([change(2)])
    await lists.flush()
    await lists.flush()
    assert tables.saved == [ListEntry(KEY, 2, False, ["ann", "bob"])]


async def test_members_are_read_once_for_each_of_their_epochs(lists: ConversationLists, tables: Tables) -> None:
    for update_ms, epoch in ((1, 1), (2, 1), (3, 2)):
        made = change(update_ms)
        lists.record([made._replace(head=made.head._replace(members_epoch=epoch))])
        await lists.flush()
    assert (len(tables.saved), tables.reads) == (3, 2)


async def test_a_change_without_an_item_is_not_written(lists: ConversationLists, tables: Tables) -> None:
    lists.record([change(1)._replace(items=[])])
    await lists.flush()
    assert tables.saved == []


async def test_what_could_not_be_written_is_written_later(lists: ConversationLists, tables: Tables) -> None:
    tables.failures = 1
    lists.record([change(1)])
    with pytest.raises(Unavailable):
        await lists.flush()
    lists.record([change(3)])
    await lists.flush()
    assert [entry.update_ms for entry in tables.saved] == [3]


@pytest.mark.parametrize(
    ("made", "is_written"),
    [
        (change(1, SMALL_MEMBERS), True),
        (change(1, SMALL_MEMBERS + 1), False),
        (change(1, SMALL_MEMBERS + 1, ItemType.MEMBERS_ADDED, 1), True),
        (change(1, SMALL_MEMBERS + 2, ItemType.MEMBERS_ADDED, 1), False),
        (change(1, 3, kind=Kind.CHANNEL), False),
        (change(1, 3, ItemType.CONVERTED, kind=Kind.CHANNEL), True),
    ],
)
async def test_a_large_conversation_is_written_when_it_becomes_large(
    lists: ConversationLists, tables: Tables, made: ConversationChange, *, is_written: bool
) -> None:
    lists.record([made])
    await lists.flush()
    assert bool(tables.saved) == is_written
    is_large = made.head.kind is Kind.CHANNEL or made.head.members > SMALL_MEMBERS
    assert all(entry.is_large == is_large for entry in tables.saved)
