"""Which calls are decided together: no more commands than the limit, and no larger an entry than fits on the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def decide(calls: Sequence[Any]) -> None:
    """The batch with these calls is decided, and the next one begins."""
    for call in calls:
        call.is_decided = True


def taken(queue: CallQueue, limit: int = 10) -> list[list[int]]:
    """The lengths of the commands of each call of each batch, until nothing is left."""
    batches = []
    while queue:
        calls = queue.take(limit)
        batches.append([sum(map(len, call.commands)) for call in calls])
        decide(calls)
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
        decide(batch)
        assert sum(len(call.commands) for call in batch) <= limit or len(batch) == 1


def test_calls_that_nobody_waits_for_are_left_out_and_take_no_room() -> None:
    gone, large = Call("a", "b"), Call(HALF, HALF)
    queue = queue_of(gone, large, Call(HALF), Call(HALF))
    gone.has_expired = large.has_expired = True
    assert len(queue.take(10)) == 2
    assert (bool(queue), queue.commands) == (False, 0)


def test_a_batch_that_is_filled_little_by_little_has_one_bound() -> None:
    queue = queue_of(Call(HALF))
    first = queue.take(10)
    for _ in range(2):
        queue.add(Call(HALF))
    second = queue.take(9)
    assert (len(second), queue.take(8)) == (1, [])
    decide([*first, *second])
    assert len(queue.take(10)) == 1


def test_a_call_with_more_commands_than_there_is_room_for_waits_for_the_next_batch() -> None:
    queue = queue_of(Call("a"), Call("b", "c", "d"))
    first = queue.take(2)
    assert (len(first), queue.take(1)) == (1, [])
    decide(first)
    assert len(queue.take(2)) == 1


def test_calls_that_were_put_back_or_answered_are_in_the_batch_no_more() -> None:
    queue = queue_of(Call(HALF), Call(HALF), Call(HALF))
    queue.put_back(queue.take(10))
    answered, waiting = queue.take(10)
    answered.answer(["done"])
    assert len(queue.take(10)) == 1
    assert waiting.is_live()


def test_more_commands_than_may_wait_are_refused() -> None:
    queue = queue_of(*[Call(*["a"] * 10) for _ in range(10)])
    with pytest.raises(Overloaded):
        queue.add(Call("a"))
