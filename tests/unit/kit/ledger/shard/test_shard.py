"""How a shard begins, what stops it, and how it looks after what other nodes do."""

from __future__ import annotations

import pytest

from kit.adapters.memory_ledger import MemoryShard
from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.entry import Entry
from kit.ledger.errors import ShardNotServed
from kit.ledger.ports import Page, Watermarks
from kit.ledger.shard.effects import Append, Publish, ReadEntries, ReadTail, ReadWatermarks, WriteTables
from kit.ledger.shard.state import State
from tests.unit.kit.ledger.shard_stage import AWAY, BROKEN, NEWER, Call, Rows, Stage, entry


def served(*entries: Entry) -> Stage:
    """A shard that serves, after these entries."""
    store = MemoryShard()
    for each in entries:
        store.commit(each)
    return Stage(store).serve()


def assert_stopped(stage: Stage, reason: str) -> None:
    assert stage.shard.state is State.STOPPED
    assert reason in stage.shard.reason
    stage.wait(100.0)
    assert not stage.in_flight, "it touches nothing more"
    with pytest.raises(ShardNotServed, match=reason):
        stage.shard.submit(Call("late"))
    stage.shard.start(stage.now, is_assigned=True)
    assert stage.shard.state is State.STOPPED, "also when it is given the shard again"


def test_entries_after_the_watermarks_are_replayed_written_and_published() -> None:
    store = MemoryShard()
    for position in range(1, 6):
        store.commit(entry(position, b"%d" % position))
    store.save(Watermarks(applied=3, published=2))
    stage = Stage(store).serve()
    assert stage.model.texts == ["4", "5"]
    assert stage.written == ["4", "5"]
    assert [each.position for each in stage.published] == [3, 4, 5]
    assert store.marks == Watermarks(5, 5)


def test_calls_wait_until_all_entries_are_replayed() -> None:
    store = MemoryShard()
    store.commit(entry(1, b"a"))
    stage = Stage(store)
    stage.shard.start(stage.now, is_assigned=True)
    call = stage.submit("b")
    assert [type(effect) for effect in stage.in_flight] == [ReadWatermarks]
    stage.settle()
    assert call.answers == ["b2"]


def test_waiting_calls_fail_without_effect_while_the_store_is_unavailable() -> None:
    stage = Stage()
    stage.shard.start(stage.now, is_assigned=True)
    call = stage.submit("a")
    stage.fail(stage.the(ReadWatermarks), AWAY)
    assert isinstance(call.error, Unavailable)
    since = stage.shard.unreachable_since
    stage.settle()
    assert (since, stage.shard.unreachable_since) == (100.0, None)
    assert stage.submit("b").is_live()


@pytest.mark.parametrize(("payload", "reason"), [(NEWER, "format 9"), (BROKEN, "cannot be read")])
def test_an_entry_that_cannot_be_applied_stops_the_shard_when_it_starts(payload: bytes, reason: str) -> None:
    assert_stopped(served(entry(1), entry(2, payload), entry(3)), reason)


def test_an_entry_of_a_newer_format_stops_the_shard_while_it_serves() -> None:
    stage = served(entry(1))
    decided = stage.submit("a")
    waiting = stage.submit("b")
    stage.store.commit(entry(2, NEWER))
    while stage.shard.state is not State.STOPPED:
        # Whatever happens to its append, another entry is at its position.
        stage.do(stage.in_flight[0])
    assert isinstance(decided.error, ShardNotServed)
    assert isinstance(waiting.error, ShardNotServed)
    stage.in_flight.clear()
    assert_stopped(stage, "format 9")


def test_decided_calls_are_unknown_when_the_shard_stops() -> None:
    stage = served(entry(1))
    call = stage.submit("a")
    stage.do(stage.the(Append))
    waiting = stage.submit("?")
    stage.do(stage.the(ReadTail), result=0)
    stage.do(stage.the(ReadEntries), result=Page([], 0))
    assert stage.shard.state is State.STOPPED
    assert isinstance(call.error, OutcomeUnknown), "it is appended, its tables may be written"
    assert isinstance(waiting.error, ShardNotServed)


HOLE = Rows(entry(1), entry(2), entry(4))
NO_LAST = Rows(entry(1), entry(2), tail=3)
NOTHING_LEFT = Rows(entry(1), tail=4, marks=Watermarks(3, 3))
BACK = Rows(entry(1), entry(2), marks=Watermarks(3, 1))
EQUAL = Rows(entry(1), entry(2)._replace(stamp=entry(1).stamp))


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (HOLE, "entry 3 is missing"),
        (NO_LAST, "entry 3 is missing"),
        (NOTHING_LEFT, "entry 3 is missing"),
        (BACK, "the last one is 2"),
        (EQUAL, "stamp of entry 2"),
    ],
    ids=["hole", "no last row", "trimmed too far", "behind its watermark", "equal stamps"],
)
def test_invalid_rows_stop_the_shard_when_it_starts(store: Rows, reason: str) -> None:
    stage = Stage(store).serve()
    assert_stopped(stage, reason)
    assert (stage.written, stage.published) == ([], [])


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page([entry(2), entry(4)], 4), "entry 3 is missing"),
        (Page([entry(2), entry(3)._replace(stamp=entry(2).stamp)], 3), "stamp of entry 3"),
        (Page([], 0), "the last entry is 0, it was 1"),
    ],
    ids=["hole", "equal stamps", "tail back"],
)
def test_invalid_rows_stop_the_shard_while_it_serves(page: Page, reason: str) -> None:
    stage = served(entry(1))
    stage.submit("?")
    stage.do(stage.the(ReadTail), result=9)
    stage.do(stage.the(ReadEntries), result=page)
    stage.in_flight.clear()
    assert_stopped(stage, reason)


def test_a_tail_that_is_before_an_append_of_unknown_outcome_stops_the_shard() -> None:
    stage = served(entry(1), entry(2))
    call = stage.submit("a")
    stage.fail(stage.the(Append), OutcomeUnknown("lost"))
    stage.do(stage.the(ReadEntries), result=Page([], 1))
    assert isinstance(call.error, OutcomeUnknown)
    assert_stopped(stage, "the last entry is 1, it was 2")


def test_a_row_that_is_missing_during_a_trim_is_read_again() -> None:
    store = MemoryShard()
    for position in range(1, 6):
        store.commit(entry(position, b"%d" % position))
    stage = Stage(store)
    stage.shard.start(stage.now, is_assigned=True)
    stage.poll()
    stage.do(stage.the(ReadWatermarks))
    store.save(Watermarks(4, 4))
    store.trim(4)
    stage.settle()
    assert stage.shard.state is State.SERVING
    assert stage.model.texts == ["5"]


def test_a_gap_before_the_next_row_restarts_the_replay() -> None:
    stage = served(entry(1, b"1"))
    waiting = stage.submit("?")
    for position in range(2, 6):
        stage.store.commit(entry(position, b"%d" % position))
    stage.store.save(Watermarks(4, 4))
    stage.store.trim(4)
    stage.do(stage.the(ReadTail))
    stage.do(stage.the(ReadEntries))
    assert stage.shard.state is State.REPLAYING
    stage.settle()
    assert stage.model.texts == ["5"], "what was in memory is not put together with what came behind the gap"
    assert waiting.answers == ["?1"]


def test_the_owner_finds_entries_of_another_node_in_an_idle_shard() -> None:
    stage = served(entry(1, b"1"))
    stage.published.clear()
    stage.store.commit(entry(2, b"2"))
    stage.settle()
    assert (stage.model.texts, stage.written) == (["1", "2"], ["1", "2"])
    assert [each.position for each in stage.published] == [2]


def test_a_node_without_the_assignment_does_not_poll_the_tail_and_releases_the_shard_when_idle() -> None:
    stage = Stage().serve(is_assigned=False)
    stage.submit("a")
    stage.settle(10.0)
    assert stage.shard.state is State.IDLE
    assert not [effect for effect in stage.history if isinstance(effect, ReadTail)]
    assert stage.written == ["a"]
    assert [each.payload for each in stage.published] == [b"a"]
    assert stage.store.marks == Watermarks(1, 1)


def test_a_draining_shard_finishes_its_calls_and_accepts_no_more() -> None:
    stage = served(entry(1))
    call = stage.submit("a")
    stage.shard.drain()
    with pytest.raises(ShardNotServed):
        stage.shard.submit(Call("late"))
    stage.settle()
    assert call.answers is not None
    assert stage.shard.state is State.IDLE
    assert stage.store.marks == Watermarks(2, 2)


def test_an_entry_whose_tables_cannot_be_written_is_never_dropped() -> None:
    stage = served()
    call = stage.submit("a")
    stage.do(stage.the(Append))
    for _ in range(5):
        stage.fail(stage.the(WriteTables), AWAY)
        stage.wait(1.0)
    assert call.is_live()
    stage.settle()
    assert (call.answers, stage.written) == (["a1"], ["a"])


def test_an_unavailable_log_does_not_make_the_store_unavailable() -> None:
    stage = served()
    stage.submit("a")
    stage.do(stage.the(Append))
    stage.fail(stage.the(Publish), AWAY)
    assert stage.shard.unreachable_since is None


def test_an_atomic_store_waits_neither_for_tables_nor_for_the_event_log() -> None:
    stage = Stage(is_atomic=True).serve()
    call = stage.submit("a")
    assert stage.the(Append).writes == ["a"]
    stage.do(stage.the(Append))
    assert call.answers == ["a1"]
    stage.wait(10.0)
    assert not stage.in_flight
