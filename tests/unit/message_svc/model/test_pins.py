"""Who may pin messages, how many, and what becomes of pins."""

from __future__ import annotations

import pytest

from message_svc.actions import Convert, Delete, PinMessage, UnpinMessage
from message_svc.commands import Reason
from message_svc.domain import MAX_PINNED, ItemType, Pin
from tests.unit.message_svc.shards import Shard, items_of


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def test_a_message_is_pinned_and_unpinned_once_by_numbered_items(shard: Shard) -> None:
    group = shard.group("ann", "bob")
    sent = shard.send(group, "bob")
    pinned = shard.made(group, "ann", PinMessage(sent.seq))
    assert shard.made(group, "ann", PinMessage(sent.seq)).seq == 0
    assert shard.head(group).pinned == (Pin(sent.seq, pinned.seq),)
    unpinned = shard.made(group, "ann", UnpinMessage(sent.seq))
    assert shard.made(group, "ann", UnpinMessage(sent.seq)).seq == 0
    assert shard.head(group).pinned == ()
    found = [(item.seq, item.type, item.subject) for item in items_of(shard.entries, group)[2:]]
    assert found == [(pinned.seq, ItemType.PINNED, sent.seq), (unpinned.seq, ItemType.UNPINNED, sent.seq)]
    assert shard.unread(group, "ann") == 1, "a pin is no message"


@pytest.mark.parametrize("is_channel", [False, True])
def test_of_a_group_and_a_channel_only_admins_pin(shard: Shard, is_channel: bool) -> None:
    group = shard.group("ann", "bob")
    if is_channel:
        shard.made(group, "ann", Convert())
    sent = shard.send(group, "ann")
    for action in (PinMessage(sent.seq), UnpinMessage(sent.seq)):
        assert shard.refused(group, "bob", action) is Reason.ADMINS_ONLY
        assert shard.refused(group, "eve", action) is Reason.NOT_FOUND
        shard.made(group, "ann", action)


def test_in_a_direct_conversation_both_pin(shard: Shard) -> None:
    direct = shard.direct("ann", "bob")
    sent = shard.send(direct, "ann")
    shard.made(direct, "bob", PinMessage(sent.seq))
    assert shard.made(direct, "ann", UnpinMessage(sent.seq)).seq > 0


def test_what_is_no_message_or_a_deleted_one_is_not_pinned(shard: Shard) -> None:
    group = shard.group("ann", "bob")
    sent = shard.send(group, "ann")
    assert shard.refused(group, "ann", PinMessage(1)) is Reason.NO_MESSAGE
    assert shard.refused(group, "ann", PinMessage(99)) is Reason.NO_MESSAGE
    shard.made(group, "ann", PinMessage(sent.seq))
    shard.made(group, "ann", Delete(sent.seq))
    assert shard.head(group).pinned == ()
    assert shard.refused(group, "ann", PinMessage(sent.seq)) is Reason.DELETED


def test_a_conversation_has_so_many_pinned_messages_and_no_more(shard: Shard) -> None:
    group = shard.group("ann")
    sent = [shard.send(group, "ann") for _ in range(MAX_PINNED + 1)]
    for outcome in sent[:-1]:
        shard.made(group, "ann", PinMessage(outcome.seq))
    assert shard.refused(group, "ann", PinMessage(sent[-1].seq)) is Reason.PINS_FULL
    assert shard.made(group, "ann", PinMessage(sent[0].seq)).seq == 0
    shard.made(group, "ann", UnpinMessage(sent[0].seq))
    shard.made(group, "ann", PinMessage(sent[-1].seq))
    assert [pin.seq for pin in shard.head(group).pinned] == [outcome.seq for outcome in sent[1:]]
