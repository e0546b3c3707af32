"""The list of conversations, with what is unread."""

from __future__ import annotations

import pytest

from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.values import Change
from tests.unit.client.conversations.made import changed, conversation, sent


@pytest.fixture(name="listed")
def fixture_listed() -> ConversationList:
    listed = ConversationList("me")
    listed.load(conversation())
    return listed


def unread(listed: ConversationList) -> int:
    known = listed.get("c1")
    assert known is not None
    return known.unread_count


def test_a_message_of_another_user_is_unread_once(listed: ConversationList) -> None:
    assert listed.push(sent(11))
    assert listed.push(sent(11))
    assert (unread(listed), listed.unread(0)) == (1, 1)


def test_a_conversation_with_a_gap_or_an_unknown_one_must_be_read_again(listed: ConversationList) -> None:
    assert not listed.push(sent(12))
    assert not ConversationList("me").push(sent(11))
    assert unread(listed) == 0


def test_an_own_message_reads_what_is_before_it(listed: ConversationList) -> None:
    listed.push(sent(11))
    listed.push(sent(12, sender_id="me"))
    assert unread(listed) == 0


def test_a_message_deleted_before_it_is_read_is_no_longer_unread(listed: ConversationList) -> None:
    listed.push(sent(11))
    listed.push(changed(12, "DELETED", 11, delete_time="2026-01-01T00:00:00Z"))
    assert unread(listed) == 0
    listed.push(sent(13))
    listed.push(changed(14, "DELETED", 9, delete_time="2026-01-01T00:00:00Z"))
    assert unread(listed) == 1


def test_an_answer_older_than_the_pushes_is_not_used(listed: ConversationList) -> None:
    listed.push(sent(11))
    assert not listed.load(conversation(unread_count=7))
    assert unread(listed) == 1


def test_what_was_read_here_stays_read(listed: ConversationList) -> None:
    listed.push(sent(11))
    listed.read("c1", 11, 0)
    listed.load(conversation(last_message_seq=11, unread_count=1))
    assert unread(listed) == 0


def test_pinned_conversations_stand_first_and_muted_ones_do_not_count(listed: ConversationList) -> None:
    listed.load(conversation("c2", unread_count=4, mute_until_ms=2_000, pinned=True))
    listed.push(sent(11))
    assert [each.conversation_id for each in listed.all] == ["c2", "c1"]
    assert (listed.unread(1_000), listed.unread(2_000)) == (1, 5)


def test_a_removed_user_is_no_member(listed: ConversationList) -> None:
    listed.push(Change("c1", 11, "CHANGE_TYPE_MEMBER_REMOVED", "bob", user_ids=("me",)))
    known = listed.get("c1")
    assert known is not None
    assert known.role == "ROLE_UNSPECIFIED"
