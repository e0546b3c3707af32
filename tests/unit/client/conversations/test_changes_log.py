"""The loaded part of a conversation, whatever arrives in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plaudit_client.conversations.changes_log import ChangesLog
from tests.unit.client.conversations.made import changed, message, sent

CHANGES = [
    sent(1),
    sent(2),
    changed(3, "EDITED", 1, content="new", edit_time="2026-01-01T00:00:01Z"),
    sent(4),
    changed(5, "DELETED", 2, delete_time="2026-01-01T00:00:02Z"),
]


def applied(changes: list[int]) -> ChangesLog:
    log = ChangesLog(0)
    for index in changes:
        log.push(CHANGES[index])
    return log


@given(st.permutations([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]))
def test_every_order_of_delivery_with_repetitions_gives_the_same_messages(order: list[int]) -> None:
    log = applied(order)
    assert log.messages == applied([0, 1, 2, 3, 4]).messages
    assert [each.content for each in log.messages] == ["new", "", "text 4"]
    assert not log.has_gap


def test_what_follows_a_gap_waits_until_it_is_filled() -> None:
    log = applied([0, 3])
    assert [each.message_seq for each in log.messages] == [1]
    assert log.has_gap
    log.fill(CHANGES[1:3], 5)
    assert [each.message_seq for each in log.messages] == [1, 2, 4]
    assert log.applied_seq == 4


def test_numbers_that_the_server_leaves_out_are_passed_over() -> None:
    log = ChangesLog(3)
    log.push(sent(9))
    log.fill([sent(8)], 9)
    assert [each.message_seq for each in log.messages] == [8, 9]
    log.fill([], 12)
    assert log.applied_seq == 12


def test_an_earlier_state_never_replaces_a_later_one_and_a_deletion_is_final() -> None:
    log = ChangesLog(1)
    log.prepend([message(1, content="third", edit_time="2026-01-01T00:00:03.500Z")])
    log.push(changed(2, "EDITED", 1, content="second", edit_time="2026-01-01T00:00:03Z"))
    assert log.messages[0].content == "third"
    log.push(changed(3, "DELETED", 1, delete_time="2026-01-01T00:00:04Z"))
    log.prepend([message(1)])
    assert (log.messages[0].content, log.messages[0].sender_id) == ("", "bob")


def test_messages_that_have_disappeared_are_dropped_and_do_not_come_back() -> None:
    log = applied([0, 1, 2])
    log.hide_before(2)
    log.hide_before(1)
    assert [each.message_seq for each in log.messages] == [2]
    log.prepend([message(1)])
    log.push(CHANGES[3])
    assert [each.message_seq for each in log.messages] == [2, 4]
