"""When a batch is decided: with the calls that are expected to come together, and without a wait for others."""

from __future__ import annotations

from kit.ledger.shard.effects import Append
from kit.ledger.shard.limits import LingerLimits, ShardLimits
from tests.unit.kit.ledger.shard_stage import Call, Stage

GATHER = LingerLimits()


def test_calls_that_arrive_during_an_append_are_decided_in_one_batch_after_it(stage: Stage) -> None:
    stage.submit("b")
    later = [stage.queue("c"), stage.queue("d", "e")]
    stage.poll()
    assert len(stage.all(Append)) == 1
    stage.do(stage.the(Append))
    assert stage.the(Append).entry.payload == b"c|d|e"
    stage.settle()
    assert [call.answers for call in later] == [["c3"], ["d4", "e5"]]


def gathering(*, few: int = 32) -> Stage:
    """A shard of a file that serves and has just answered three calls."""
    stage = Stage(limits=ShardLimits(linger=LingerLimits(few=few)), is_atomic=True).serve()
    for text in "abc":
        stage.queue(text)
    stage.poll()
    stage.do(stage.the(Append))
    return stage


def test_callers_that_were_answered_in_one_batch_are_expected_in_one_batch() -> None:
    stage = gathering()
    for text in "de":
        stage.submit(text)
        assert not stage.all(Append)
    stage.submit("f")
    assert stage.the(Append).entry.payload == b"d|e|f"


def test_calls_that_waited_when_others_were_answered_are_expected_with_them() -> None:
    stage = Stage(limits=ShardLimits(), is_atomic=True).serve()
    stage.queue("a")
    stage.submit("b")
    stage.queue("c")  # during the append
    stage.do(stage.the(Append))
    stage.submit("d")
    assert not stage.all(Append)
    stage.submit("e")
    assert stage.the(Append).entry.payload == b"c|d|e"


def test_few_connections_are_enough_and_no_caller_waits_without_a_limit() -> None:
    stage = gathering(few=2)
    stage.queue("d")
    stage.submit("e")
    assert stage.the(Append).entry.payload == b"d|e"

    stage = gathering()
    stage.submit("d")
    stage.wait(GATHER.gap_seconds * 0.9)
    assert not stage.all(Append)
    stage.submit("e")  # as long as they come one after the other
    stage.wait(GATHER.gap_seconds * 0.9)
    assert not stage.all(Append)
    stage.wait(GATHER.gap_seconds)
    assert stage.the(Append).entry.payload == b"d|e"

    stage = gathering(few=1_000)
    for number in range(3, 100):
        stage.submit(str(number))
        stage.wait(GATHER.gap_seconds / 2)
        if stage.all(Append):
            break
    assert 2 <= len(stage.the(Append).entry.payload.split(b"|")) < 100


def test_a_single_or_late_call_does_not_linger() -> None:
    stage = Stage(limits=ShardLimits(), is_atomic=True).serve()
    for text in "ab":
        stage.submit(text)
        stage.do(stage.the(Append))
    stage = gathering()
    stage.wait(GATHER.quiet_seconds * 1.1)
    stage.submit("d")
    assert stage.the(Append).entry.payload == b"d"


def test_a_call_that_only_joins_others_causes_no_poll() -> None:
    stage = Stage(limits=ShardLimits(), is_atomic=True).serve()
    assert stage.shard.submit(Call("a"))
    assert stage.shard.submit(Call("b"))
    stage.poll()
    assert not stage.shard.submit(Call("c")), "the append that is under way ends, and then it is looked at"
    stage.do(stage.the(Append))
    assert stage.shard.next_at(stage.now) < stage.now + 1.0
    assert not stage.shard.submit(Call("d")), "it is looked at when the time is over"
    assert stage.shard.submit(Call("e")), "they are complete"
