"""Tokens that a log out has ended, decided by the table of the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_registry.domain import Effects, NodeUpdate, Session
from session_registry.errors import LimitReached
from session_registry.log_outs import MAX_DEVICES, LogOutRecord, LogOuts
from session_registry.table import Table
from tests.unit.session_registry.table_values import NOON, ids, login, node

ALICE = ("acme", "alice")
UNTIL = 10_000.0


def opens(table: Table, epoch: int, session_id: str, device: str, issued: int | None) -> Effects:
    session = replace(login(session_id, device), issued=issued)
    return table.apply_update("n1", epoch, NodeUpdate(opened=(session,)), NOON)


def attached(table: Table) -> int:
    return table.attach(node("n1"), NOON)[0].epoch


def test_a_token_from_before_the_log_out_opens_no_session_and_a_newer_one_does() -> None:
    table = Table(lease=10.0)
    epoch = attached(table)
    opens(table, epoch, "s1", "phone", 100)
    assert ids(table.end_sessions(*ALICE, at=150.9, until=UNTIL, device="phone").logged_out) == [("n1", "s1")]
    for index, issued in enumerate((100, 150, 0)):
        effects = opens(table, epoch, f"old-{index}", "phone", issued)
        assert ids(effects.refused) == [("n1", f"old-{index}")]
        assert table.sessions_of(*ALICE) == ()
    assert opens(table, epoch, "s2", "phone", 151).refused == ()
    assert ids(table.sessions_of(*ALICE)) == [("n1", "s2")]
    # A refused login does not end the session that the device has.
    effects = opens(table, epoch, "s3", "phone", 100)
    assert (ids(effects.refused), effects.fenced) == ([("n1", "s3")], ())
    assert ids(table.sessions_of(*ALICE)) == [("n1", "s2")]
    # Another device was not logged out, and an older node says nothing about tokens.
    assert opens(table, epoch, "s4", "laptop", 100).refused == ()
    assert opens(table, epoch, "s5", "phone", None).refused == ()


def test_a_log_out_of_all_others_leaves_the_token_of_the_device_that_asked_valid() -> None:
    table = Table(lease=10.0)
    epoch = attached(table)
    table.end_sessions(*ALICE, at=150, until=UNTIL, except_device="phone")
    assert opens(table, epoch, "s1", "phone", 100).refused == ()
    for device in ("laptop", "", "never-seen"):
        assert len(opens(table, epoch, f"s-{device}", device, 150).refused) == 1
    # The next one of another device does not make valid what the one before has ended.
    table.end_sessions(*ALICE, at=200, until=UNTIL, except_device="laptop")
    assert len(opens(table, epoch, "s2", "laptop", 150).refused) == 1
    assert opens(table, epoch, "s3", "laptop", 151).refused == ()
    assert len(opens(table, epoch, "s4", "phone", 200).refused) == 1


def test_what_an_earlier_leader_recorded_ends_sessions_that_were_reported_before_it_was_read() -> None:
    table = Table(lease=10.0)
    epoch = attached(table)
    opens(table, epoch, "old", "phone", 100)
    opens(table, epoch, "new", "laptop", 200)
    effects = table.restore_log_outs({ALICE: LogOutRecord(150, {}, UNTIL)})
    assert ids(effects.logged_out) == [("n1", "old")]
    assert ids(table.sessions_of(*ALICE)) == [("n1", "new")]


def test_a_record_ends_by_itself() -> None:
    log_outs = LogOuts()
    log_outs.set(ALICE, LogOutRecord(150, {}, UNTIL))
    old = Session("s1", "acme", "alice", "phone", issued=100)
    assert log_outs.expire(UNTIL - 1) == ()
    assert log_outs.refuses(old)
    assert log_outs.expire(UNTIL) == (ALICE,)
    assert (len(log_outs), log_outs.refuses(old)) == (0, False)


def test_a_record_has_a_bound_and_a_log_out_of_all_others_begins_anew() -> None:
    record = LogOutRecord()
    for index in range(MAX_DEVICES):
        record = record.with_device(f"d{index}", 100 + index, UNTIL)
    with pytest.raises(LimitReached):
        record.with_device("one-more", 300, UNTIL)
    assert record.with_device("d0", 300, UNTIL).not_before("d0") == 300
    record = record.with_all_but("d1", 300, UNTIL)
    assert [record.not_before(device) for device in ("d0", "d1", "one-more")] == [300, 101, 300]
    assert len(record.devices) == 1


DEVICES = st.sampled_from(["", "a", "b", "c"])
RECORDS = st.builds(LogOutRecord, st.integers(0, 9), st.dictionaries(DEVICES, st.integers(0, 9)), st.floats(0, 9))


@given(RECORDS, RECORDS, DEVICES)
def test_two_records_together_refuse_what_either_refuses(one: LogOutRecord, two: LogOutRecord, device: str) -> None:
    both = one.merged(two)
    assert both == two.merged(one)
    assert both.not_before(device) == max(one.not_before(device), two.not_before(device))
    assert both.until == max(one.until, two.until)
