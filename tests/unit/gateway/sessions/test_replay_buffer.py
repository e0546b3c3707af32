"""The replay buffer of a session: numbers without gaps, bounds, and no memory for acknowledged pushes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ResumeLimits
from gateway.fanout.delivery import Delivery
from gateway.sessions.replay_buffer import MemoryBudget, ReplayBuffer

LIMITS = ResumeLimits()


def push(version: int, size: int = 10) -> Delivery:
    return Delivery(tenant="acme", topic="users/alice", type="t", payload=b"x" * size, version=version, key="k")


def numbers(buffer: ReplayBuffer, seq: int = 0) -> list[int]:
    return [number for number, _ in buffer.after(seq)]


def test_pushes_are_numbered_from_one_and_buffered_until_they_are_acknowledged() -> None:
    buffer = ReplayBuffer(LIMITS, MemoryBudget(1 << 20))
    assert [buffer.add(push(version)) for version in (7, 8, 9)] == [1, 2, 3]
    buffer.acknowledge(2)
    assert numbers(buffer) == [3]
    assert [delivery.version for _, delivery in buffer.after(2)] == [9]
    assert buffer.covers(2)
    assert buffer.covers(3)
    assert not buffer.covers(4)


def test_the_oldest_pushes_that_do_not_fit_are_dropped_up_to_truncated_to() -> None:
    buffer = ReplayBuffer(ResumeLimits(pushes=2), MemoryBudget(1 << 20))
    for version in range(1, 6):
        buffer.add(push(version))
    assert numbers(buffer) == [4, 5]
    assert (buffer.truncated_to, buffer.covers(2), buffer.covers(3)) == (3, False, True)


def test_a_session_uses_no_more_bytes_than_its_limit() -> None:
    buffer = ReplayBuffer(ResumeLimits(bytes=3_400), MemoryBudget(1 << 20))
    for version in range(1, 4):
        buffer.add(push(version, 1_000))
    assert numbers(buffer) == [2, 3]
    buffer.add(push(4, 5_000))
    assert numbers(buffer) == []
    assert buffer.truncated_to == buffer.seq == 4


def test_all_sessions_of_a_node_share_its_memory_budget() -> None:
    budget = MemoryBudget(2_400)
    quiet, busy = ReplayBuffer(LIMITS, budget), ReplayBuffer(LIMITS, budget)
    quiet.add(push(1, 500))
    for version in range(1, 9):
        busy.add(push(version, 500))
    assert budget.used <= budget.limit
    assert (numbers(quiet), quiet.truncated_to) == ([1], 0)
    assert busy.truncated_to == 7
    for buffer in (quiet, busy):
        buffer.close()
    assert budget.used == 0


def test_a_push_that_may_have_been_missed_leaves_a_gap() -> None:
    buffer = ReplayBuffer(LIMITS, MemoryBudget(1 << 20))
    buffer.add(push(1))
    buffer.mark_gap()
    assert buffer.add(push(2)) == 3
    assert (buffer.covers(1), buffer.covers(2)) == (False, True)


@given(
    st.lists(
        st.one_of(st.integers(0, 2_000).map(lambda size: ("add", size)), st.integers(0, 60).map(lambda n: ("ack", n)))
    ),
    st.integers(1, 5),
)
def test_numbers_are_dense_and_exactly_the_pushes_neither_acknowledged_nor_truncated_are_kept(
    steps: list[tuple[str, int]], pushes: int
) -> None:
    budget = MemoryBudget(10_000)
    buffer = ReplayBuffer(ResumeLimits(pushes=pushes, bytes=4_000), budget)
    assigned = acknowledged = 0
    for what, number in steps:
        if what == "add":
            assigned += 1
            assert buffer.add(push(assigned, number)) == assigned
        else:
            acknowledged = max(acknowledged, min(number, assigned))
            buffer.acknowledge(acknowledged)
        assert numbers(buffer) == list(range(max(buffer.truncated_to, acknowledged) + 1, assigned + 1))
        assert len(buffer) <= pushes
    buffer.close()
    assert budget.used == 0
