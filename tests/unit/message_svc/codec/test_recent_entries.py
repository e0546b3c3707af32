"""Entries that were just encoded are read without being decoded."""

from __future__ import annotations

import pytest

from kit.ledger.errors import CorruptEntry
from message_svc.codec.entries import EntryCodec
from message_svc.codec.recent_entries import RecentEntries
from message_svc.domain import Body, ConversationChange, Head, Item, ItemType, Kind


def change(content: str) -> ConversationChange:
    head = Head(Kind.DIRECT, "", "", "ann", 1, 2, 3, stamp=7)
    return ConversationChange(
        ("acme", "dm_1"), head, [Item(3, ItemType.MESSAGE, "ann", 2, 1, body=Body(content))], {}, []
    )


def test_an_entry_is_read_once_as_it_was_encoded() -> None:
    entries, made = RecentEntries(EntryCodec()), [change("hi")]
    payload = entries.encode(made)
    assert payload == EntryCodec().encode(made)
    assert entries.read(payload) is made
    # Decoded, because it was read before: equal, but for the stamp.
    (again,) = entries.read(payload)
    assert (again.head, again.items) == (made[0].head._replace(stamp=0), made[0].items)


def test_an_entry_of_another_process_is_decoded() -> None:
    (found,) = RecentEntries(EntryCodec()).read(EntryCodec().encode([change("hi")]))
    assert found.items == change("hi").items
    with pytest.raises(CorruptEntry):
        RecentEntries(EntryCodec()).read(b"\xff")


def test_a_replay_gets_the_stamp_of_its_entry() -> None:
    entries = RecentEntries(EntryCodec())
    (found,) = entries.decode(entries.encode([change("hi")]), 9)
    assert found.head.stamp == 9


def test_the_oldest_entries_are_dropped() -> None:
    made = [[change(text)] for text in ("one", "two", "six")]
    size = len(EntryCodec().encode(made[0]))
    entries = RecentEntries(EntryCodec(), max_bytes=2 * size)
    payloads = [entries.encode(each) for each in made]
    assert [entries.read(payload) is each for payload, each in zip(payloads, made, strict=True)] == [False, True, True]
