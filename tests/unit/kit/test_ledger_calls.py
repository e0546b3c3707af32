"""Which calls are decided together: no more commands than the limit, and no larger an entry than fits on the log."""

from __future__ import annotations

import pytest

from kit.errors import Overloaded
from kit.ledger.calls import ENTRY_BYTES, CallQueue
from tests.unit.kit.shardstage import Call, Lengths

HALF = "a" * (ENTRY_BYTES // 2)


def queue_of(*calls: Call, is_sized: bool = True) -> CallQueue:
    queue = CallQueue(100, Lengths if is_sized else None)
    for call in calls:
        queue.add(call)
    return queue


def taken(queue: CallQueue, limit: int = 10) -> list[list[int]]:
    """The lengths of the commands of each call of each batch, until nothing is left."""
    batches = []
    while queue:
        batches.append([sum(map(len, call.commands)) for call in queue.take(limit)])
    assert queue.commands == 0
    return batches


def test_a_batch_ends_before_its_entry_is_too_large() -> None:
    half = ENTRY_BYTES // 2
    assert taken(queue_of(Call(HALF), Call(HALF), Call("a"), Call(HALF))) == [[half, half], [1, half]]


def test_a_call_that_is_too_large_alone_is_decided_alone() -> None:
    assert taken(queue_of(Call("a"), Call(HALF, HALF, "a"), Call("a"))) == [[1], [ENTRY_BYTES + 1], [1]]


def test_without_a_sizer_only_commands_are_counted() -> None:
    batches = taken(queue_of(*[Call(HALF) for _ in range(5)], is_sized=False), limit=4)
    assert [len(batch) for batch in batches] == [4, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_a_batch_has_at_most_so_many_commands_unless_one_call_brings_more(limit: int) -> None:
    queue = queue_of(*[Call("a", "b", "c") for _ in range(4)], Call("a"))
    while queue:
        batch = queue.take(limit)
        assert sum(len(call.commands) for call in batch) <= limit or len(batch) == 1


def test_calls_that_nobody_waits_for_are_left_out_and_take_no_room() -> None:
    gone, large = Call("a", "b"), Call(HALF, HALF)
    queue = queue_of(gone, large, Call(HALF), Call(HALF))
    gone.has_expired = large.has_expired = True
    assert len(queue.take(10)) == 2
    assert (bool(queue), queue.commands) == (False, 0)


def test_more_commands_than_may_wait_are_refused() -> None:
    queue = queue_of(*[Call(*["a"] * 10) for _ in range(10)])
    with pytest.raises(Overloaded):
        queue.add(Call("a"))
