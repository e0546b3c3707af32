"""Which calls are decided together: no more commands than the limit, and no larger an entry than fits on the log."""

from __future__ import annotations

import pytest

from kit.errors import Overloaded
from kit.ledger.calls import CallQueue
from kit.ledger.shard.batching import ENTRY_BYTES, Batch
from tests.unit.kit.ledger.shard_stage import Call, TextSizer

HALF = "a" * (ENTRY_BYTES // 2)


def queue_of(*calls: Call) -> CallQueue:
    queue = CallQueue(100)
    for call in calls:
        queue.add(call)
    return queue


def sized() -> Batch:
    return Batch(TextSizer())


def fill(batch: Batch, queue: CallQueue, limit: int = 10) -> int:
    """As a shard does it: how many calls were taken."""
    room = limit - len(batch.commands)
    calls = queue.pop_live(room, batch.fits, at_least_one=not batch.calls) if room > 0 else []
    batch.extend(calls)
    return len(calls)


def taken(queue: CallQueue, limit: int = 10, *, is_sized: bool = True) -> list[list[int]]:
    """The lengths of the commands of each call of each batch, until nothing is left."""
    batches = []
    while queue:
        batch = sized() if is_sized else Batch(None)
        fill(batch, queue, limit)
        batches.append([sum(map(len, call.commands)) for call in batch.calls])
    assert queue.commands == 0
    return batches


def test_a_batch_ends_before_its_entry_is_too_large() -> None:
    half = ENTRY_BYTES // 2
    assert taken(queue_of(Call(HALF), Call(HALF), Call("a"), Call(HALF))) == [[half, half], [1, half]]


def test_a_call_larger_than_a_batch_is_decided_by_itself() -> None:
    assert taken(queue_of(Call("a"), Call(HALF, HALF, "a"), Call("a"))) == [[1], [ENTRY_BYTES + 1], [1]]


def test_without_a_sizer_only_commands_are_counted() -> None:
    batches = taken(queue_of(*[Call(HALF) for _ in range(5)]), limit=4, is_sized=False)
    assert [len(batch) for batch in batches] == [4, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_a_batch_has_a_limited_number_of_commands_unless_one_call_has_more(limit: int) -> None:
    queue = queue_of(*[Call("a", "b", "c") for _ in range(4)], Call("a"))
    while queue:
        batch = sized()
        fill(batch, queue, limit)
        assert len(batch.commands) <= limit or len(batch.calls) == 1


def test_abandoned_calls_are_dropped_and_use_no_capacity() -> None:
    gone, large = Call("a", "b"), Call(HALF, HALF)
    queue = queue_of(gone, large, Call(HALF), Call(HALF))
    gone.has_expired = large.has_expired = True
    assert fill(sized(), queue) == 2
    assert (bool(queue), queue.commands) == (False, 0)


def test_a_batch_that_is_filled_in_steps_has_one_bound() -> None:
    queue, batch = queue_of(Call(HALF)), sized()
    fill(batch, queue)
    for _ in range(2):
        queue.add(Call(HALF))
    assert [fill(batch, queue), fill(batch, queue)] == [1, 0]
    assert fill(sized(), queue) == 1


def test_a_call_with_more_commands_than_fit_waits_for_the_next_batch() -> None:
    queue, batch = queue_of(Call("a"), Call("b", "c", "d")), sized()
    assert [fill(batch, queue, 2), fill(batch, queue, 2)] == [1, 0]
    assert fill(sized(), queue, 2) == 1


def test_requeued_calls_are_first_again() -> None:
    first, second = Call("a"), Call("b")
    queue, batch = queue_of(first), sized()
    fill(batch, queue)
    queue.add(second)
    queue.requeue(batch.calls)
    again = sized()
    fill(again, queue)
    assert (again.calls, again.commands, queue.commands) == ([first, second], ["a", "b"], 0)


def test_commands_above_the_limit_of_waiting_ones_are_refused() -> None:
    queue = queue_of(*[Call(*["a"] * 10) for _ in range(10)])
    with pytest.raises(Overloaded):
        queue.add(Call("a"))
