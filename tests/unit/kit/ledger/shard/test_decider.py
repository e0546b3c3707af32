"""How a shard decides: one append at a time, what it makes of lost answers, and what it refuses."""

from __future__ import annotations

import pytest

from kit.errors import OutcomeUnknown, Overloaded, Unavailable
from kit.ledger.shard.effects import Append, LoadTables, Publish, ReadEntries, ReadTail, WriteTables
from kit.ledger.shard.state import State
from tests.unit.kit.ledger.shard_stage import AWAY, LIMITS, LOST, Call, Stage, entry


def lose(stage: Stage, *, has_landed: bool) -> tuple[Call, Append]:
    """A change whose append is not answered."""
    call = stage.submit("b")
    append = stage.the(Append)
    if has_landed:
        stage.perform(append)
    stage.fail(append, LOST)
    return call, append


def test_a_change_is_answered_once_its_tables_are_written_and_is_not_part_of_the_state_before(stage: Stage) -> None:
    call = stage.submit("b")
    assert (stage.model.texts, call.is_decided) == (["a"], True)
    stage.do(stage.the(Append))
    assert (stage.model.texts, call.answers) == (["a", "b"], None)
    stage.do(stage.the(WriteTables))
    assert call.answers == ["b2"]


def test_a_lost_append_that_was_stored_is_recognized_by_its_id(stage: Stage) -> None:
    call, append = lose(stage, has_landed=True)
    assert stage.the(ReadEntries).after == append.entry.position - 1
    stage.settle()
    assert call.answers == ["b2"]
    assert (stage.store.tail, stage.model.texts) == (2, ["a", "b"])


def test_a_rejected_append_is_decided_again_after_the_entry_at_its_position(stage: Stage) -> None:
    call, append = lose(stage, has_landed=False)
    stage.store.commit(append.entry._replace(append_id="theirs", payload=b"x"))
    stage.settle()
    assert call.answers == ["b3"]
    assert stage.model.texts == ["a", "x", "b"]
    assert stage.written == ["a", "x", "b"]


def test_a_lost_append_that_was_not_stored_is_sent_again_unchanged(stage: Stage) -> None:
    call, append = lose(stage, has_landed=False)
    stage.do(stage.the(ReadEntries))
    assert not stage.all(Append), "there is a pause first"
    stage.wait(1.0)
    assert stage.the(Append).entry == append.entry
    stage.settle()
    assert (call.answers, stage.store.tail) == (["b2"], 2)


def test_a_lost_append_is_found_although_its_repetition_was_not_sent(stage: Stage) -> None:
    call, append = lose(stage, has_landed=False)
    stage.do(stage.the(ReadEntries))
    stage.wait(1.0)
    stage.perform(append)  # late
    stage.fail(stage.the(Append), AWAY)
    assert call.error is None
    stage.settle()
    assert (call.answers, stage.store.tail) == (["b2"], 2)


def test_a_lost_append_at_a_trimmed_position_is_unknown_and_the_shard_is_replayed(stage: Stage) -> None:
    call, append = lose(stage, has_landed=True)
    waiting = stage.submit("later")
    for position in (3, 4):
        stage.store.commit(entry(position)._replace(stamp=append.entry.stamp + position))
    stage.store.trim(4)
    stage.store.marks = stage.store.marks._replace(applied=4, published=4)
    stage.do(stage.the(ReadEntries))
    assert isinstance(call.error, OutcomeUnknown)
    assert stage.shard.state is State.REPLAYING
    stage.settle()
    assert waiting.answers is not None
    assert stage.store.tail == 5


def test_a_repeated_append_whose_condition_fails_may_be_stored_already(stage: Stage) -> None:
    call = stage.submit("b")
    append = stage.the(Append)
    stage.perform(append)  # an attempt without an answer
    stage.do(append)
    stage.settle()
    assert (call.answers, stage.store.tail) == (["b2"], 2)


def test_nothing_is_decided_until_a_lost_append_is_settled(stage: Stage) -> None:
    lose(stage, has_landed=True)
    waiting = stage.submit("later")
    for _ in range(3):
        stage.fail(stage.the(ReadEntries), AWAY)
        stage.wait(1.0)
    assert not stage.all(Append)
    assert stage.model.decided == [["a"], ["b"]]
    stage.settle()
    assert waiting.answers == ["later3"]


def test_the_calls_of_an_append_that_was_not_sent_fail_without_effect(stage: Stage) -> None:
    call = stage.submit("b")
    stage.fail(stage.the(Append), AWAY)
    assert call.error is AWAY
    stage.settle()
    assert stage.store.tail == 1


def test_a_batch_without_changes_is_answered_after_the_tail_was_confirmed(stage: Stage) -> None:
    call = stage.submit("?")
    assert call.is_live()
    assert stage.the(ReadTail).confirm
    stage.do(stage.the(ReadTail))
    assert (call.answers, stage.store.tail) == (["?1"], 1)


def test_a_batch_without_changes_is_decided_again_if_another_node_has_appended(stage: Stage) -> None:
    call = stage.submit("?")
    stage.store.commit(stage.store.read(0, 1).entries[0]._replace(position=2, stamp=1 << 60, payload=b"x"))
    stage.settle()
    assert call.answers == ["?2"]
    assert stage.written == ["a", "x"]


def test_calls_fail_without_effect_where_the_tail_cannot_be_confirmed(stage: Stage) -> None:
    call = stage.submit("?")
    stage.fail(stage.the(ReadTail), LOST)
    assert isinstance(call.error, Unavailable)


def test_a_stored_answer_is_returned_without_a_read_of_the_store(stage: Stage) -> None:
    assert stage.submit("=").answers == ["=1"]
    assert not stage.in_flight


def test_a_call_that_has_expired_is_not_decided(stage: Stage) -> None:
    stage.submit("b")
    expired, live = stage.submit("c"), stage.submit("d")
    expired.has_expired = True
    stage.do(stage.the(Append))
    assert stage.the(Append).entry.payload == b"d"
    stage.settle()
    assert (live.answers, expired.is_decided) == (["d3"], False)


def test_a_call_that_expires_while_what_it_needs_is_loaded_is_not_decided(stage: Stage) -> None:
    call = stage.submit("key:b")
    call.has_expired = True
    stage.do(stage.the(LoadTables))
    assert not stage.all(Append)
    assert stage.model.decided == [["a"]]


def test_a_load_that_fails_fails_its_calls_with_nothing_done(stage: Stage) -> None:
    call = stage.submit("key:b")
    stage.fail(stage.the(LoadTables), LOST)
    assert isinstance(call.error, Unavailable)
    stage.settle()
    assert stage.store.tail == 1


def test_the_state_of_the_next_batch_is_loaded_during_an_append(stage: Stage) -> None:
    stage.submit("b")
    stage.submit("key:c")
    assert (len(stage.all(Append)), stage.the(LoadTables).need) == (1, ["key"])


def test_entries_whose_tables_are_not_written_are_bounded() -> None:
    stage = Stage(limits=LIMITS._replace(unapplied_entries=2)).serve()
    for text in "ab":
        stage.submit(text)
        stage.do(stage.the(Append))
    refused = stage.submit("c")
    assert isinstance(refused.error, Overloaded)
    assert not stage.all(Append)
    stage.do(stage.the(WriteTables))
    assert stage.submit("d").is_decided


def test_entries_that_are_not_on_the_event_log_are_bounded() -> None:
    stage = Stage(limits=LIMITS._replace(unpublished_entries=2)).serve()
    calls = [stage.submit("a")]
    stage.do(stage.the(Append))
    stage.do(stage.the(WriteTables))
    calls.append(stage.submit("b"))
    stage.do(stage.the(Append))
    stage.do(stage.the(WriteTables))
    assert [call.answers for call in calls] == [["a1"], ["b2"]]
    stage.fail(stage.the(Publish), AWAY)
    refused = stage.submit("c")
    assert isinstance(refused.error, Overloaded)
    assert stage.shard.backlogs() == (0, 0, 2)
    stage.settle()
    assert stage.submit("d").is_decided


def test_commands_that_wait_are_bounded() -> None:
    stage = Stage(limits=LIMITS._replace(queued_commands=2, batch_commands=1)).serve()
    stage.submit("a")
    for text in "bcd":  # the first of them is the next batch already
        stage.submit(text)
    with pytest.raises(Overloaded):
        stage.submit("e")
    stage.settle()
    assert stage.model.texts == ["a", "b", "c", "d"]
