"""Which members are notified, and what of a text is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_svc.domain import Body, Item, ItemType, Kind, Member, Role, Span
from message_svc.notifications.rules import (
    NOTIFIED,
    SNIPPET_CHARACTERS,
    Decision,
    Message,
    MessagesByMember,
    decide,
    notification,
    snippet_of,
)

NOW_MS = 1_700_000_000_000
SEQ = 10
BOB = Member("bob", Role.MEMBER, 1, (Span(1),), read_seq=7, read_ordinal=5, delivered_seq=9)


def message(kind: Kind = Kind.GROUP, *mentions: str) -> Message:
    body = Body("Hello!", mentions=mentions)
    return Message(("acme", "conv_1"), kind, "Team", Item(SEQ, ItemType.MESSAGE, "alice", NOW_MS, 8, body=body))


MUTED = {"mute_until_ms": NOW_MS + 1}
CASES = {
    "an absent member": (Kind.GROUP, {}, False, Decision.NO_SESSION, Decision.NOT_ACKED),
    "a connected member": (Kind.GROUP, {}, True, Decision.WAIT, Decision.NOT_ACKED),
    "a connected member of a pair": (Kind.DIRECT, {}, True, Decision.WAIT, Decision.NOT_ACKED),
    "a member who has received it": (Kind.GROUP, {"delivered_seq": SEQ}, False, Decision.DELIVERED, Decision.DELIVERED),
    "a member who has read it": (Kind.GROUP, {"read_seq": SEQ}, False, Decision.READ, Decision.READ),
    "a member who has read it privately": (
        Kind.GROUP, {"read_seq": SEQ, "shown_read_seq": 0}, True, Decision.READ, Decision.READ,
    ),
    "a former member": (Kind.GROUP, {"role": Role.NONE}, False, Decision.NO_MEMBER, Decision.NO_MEMBER),
    "a later member": (Kind.GROUP, {"joined_seq": SEQ + 1}, False, Decision.NO_MEMBER, Decision.NO_MEMBER),
    "a member added with it": (Kind.GROUP, {"joined_seq": SEQ - 1}, False, Decision.NO_SESSION, Decision.NOT_ACKED),
    "a muted member": (Kind.GROUP, MUTED, False, Decision.MUTED, Decision.MUTED),
    "a member whose mute is over": (
        Kind.GROUP, {"mute_until_ms": NOW_MS}, False, Decision.NO_SESSION, Decision.NOT_ACKED,
    ),
    "a subscriber of a channel": (Kind.CHANNEL, {}, False, Decision.NOT_MENTIONED, Decision.NOT_MENTIONED),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "is_connected", "first", "later"), CASES.values(), ids=CASES)
def test_members_are_notified_by_the_rules(
    kind: Kind, fields: dict[str, Any], is_connected: bool, first: Decision, later: Decision
) -> None:
    member = BOB._replace(**fields)
    found = message(kind)
    assert decide(found, member, NOW_MS, is_connected=is_connected, has_waited=False) is first
    assert decide(found, member, NOW_MS, is_connected=is_connected, has_waited=True) is later


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("fields", [{}, MUTED])
def test_a_mention_notifies_also_where_the_conversation_is_muted_or_a_channel(
    kind: Kind, fields: dict[str, Any]
) -> None:
    found, member = message(kind, "carol", "bob"), BOB._replace(**fields)
    assert decide(found, member, NOW_MS, is_connected=False, has_waited=False) is Decision.NO_SESSION
    assert decide(found, member, NOW_MS, is_connected=True, has_waited=False) is Decision.WAIT
    assert decide(found, member._replace(read_seq=SEQ), NOW_MS, is_connected=False, has_waited=False) is Decision.READ


def test_the_last_message_of_others_and_each_mention_are_considered() -> None:
    body = {"alice": Body("hi"), "carol": Body("hi", mentions=("bob",)), "bob": Body("hi")}
    sent = [
        message()._replace(item=Item(seq, ItemType.MESSAGE, actor, NOW_MS, seq, body=body[actor]))
        for seq, actor in enumerate(("alice", "carol", "carol", "alice", "alice", "bob"), 1)
    ]
    considered = MessagesByMember(sent)
    assert [each.item.seq for each in considered.of("bob")] == [2, 3, 5]
    assert [each.item.seq for each in considered.of("dave")] == [6]
    assert set(considered.mentioned) == {"bob"}
    assert [each.item.seq for each in MessagesByMember(sent[:3]).of("bob")] == [2, 3]
    assert MessagesByMember(sent[-1:]).of("bob") == []


def test_a_notification_counts_the_messages_that_are_not_read() -> None:
    found = notification(message(), BOB, Decision.NO_SESSION)
    assert found.unread == 3
    assert found.idempotency_key.endswith("/bob")


@pytest.mark.parametrize("last", ["e\u0301", "❤\ufe0f", "👍🏽", "👩\u200d👧", "👩\u200d👩\u200d👧", "🇫🇷"])
def test_a_snippet_is_not_cut_within_a_combined_character(last: str) -> None:
    for inside in range(1, len(last)):
        before = "a" * (SNIPPET_CHARACTERS - inside)
        assert snippet_of(Body(before + last + "z" * 10)) == before
    whole = "a" * (SNIPPET_CHARACTERS - len(last)) + last
    assert snippet_of(Body(whole + "z")) == whole


def test_flags_are_cut_in_pairs() -> None:
    flags = "🇫🇷" * 200
    assert snippet_of(Body(flags)) == "🇫🇷" * 100
    assert snippet_of(Body("a" + flags)) == "a" + "🇫🇷" * 99


@given(st.text(max_size=500))
def test_a_snippet_is_the_beginning_of_the_text(text: str) -> None:
    found = snippet_of(Body(text))
    assert text.startswith(found)
    assert len(found) <= SNIPPET_CHARACTERS
    assert found == text or len(text) > SNIPPET_CHARACTERS
    assert bool(found) == bool(text)


@pytest.mark.parametrize("content_type", ["encrypted", "image", ""])
def test_content_that_is_no_text_has_no_snippet(content_type: str) -> None:
    assert snippet_of(Body("c2VjcmV0", content_type)) == ""
    assert snippet_of(None) == ""


def test_a_message_that_has_disappeared_notifies_no_member() -> None:
    found = message()._replace(expire_ms=NOW_MS)
    for has_waited in (False, True):
        assert decide(found, BOB, NOW_MS, is_connected=False, has_waited=has_waited) is Decision.EXPIRED
        assert decide(found, BOB, NOW_MS - 1, is_connected=False, has_waited=has_waited) in NOTIFIED
