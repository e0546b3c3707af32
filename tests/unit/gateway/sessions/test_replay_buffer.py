"""The durable pushes of a session: numbers without gaps, bounds that are told, and nothing held for nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ResumeLimits
from gateway.sessions.replay_buffer import Pool, Trail
from plaudit.gateway.v1.node_service_pb2 import Delivery

ROOMY = ResumeLimits()


def push(version: int, size: int = 10) -> Delivery:
    return Delivery(tenant="acme", topic="users/alice", type="t", payload=b"x" * size, version=version, key="k")


def numbers(trail: Trail, seq: int = 0) -> list[int]:
    return [number for number, _ in trail.after(seq)]


def test_pushes_are_numbered_from_one_and_known_until_they_are_acknowledged() -> None:
    trail = Trail(ROOMY, Pool(1 << 20))
    assert [trail.add(push(version)) for version in (7, 8, 9)] == [1, 2, 3]
    trail.acknowledge(2)
    assert numbers(trail) == [3]
    assert [delivery.version for _, delivery in trail.after(2)] == [9]
    assert trail.covers(2)
    assert trail.covers(3)
    assert not trail.covers(4)


def test_what_does_not_fit_goes_from_the_old_end_and_the_trail_says_how_far() -> None:
    trail = Trail(ResumeLimits(pushes=2), Pool(1 << 20))
    for version in range(1, 6):
        trail.add(push(version))
    assert numbers(trail) == [4, 5]
    assert (trail.lost, trail.covers(2), trail.covers(3)) == (3, False, True)


def test_a_session_keeps_no_more_bytes_than_it_may() -> None:
    trail = Trail(ResumeLimits(bytes=3_000), Pool(1 << 20))
    for version in range(1, 4):
        trail.add(push(version, 1_000))
    assert numbers(trail) == [2, 3]
    trail.add(push(4, 5_000))
    assert numbers(trail) == []
    assert trail.lost == trail.seq == 4


def test_all_sessions_of_a_node_share_its_bytes() -> None:
    pool = Pool(2_000)
    quiet, busy = Trail(ROOMY, pool), Trail(ROOMY, pool)
    quiet.add(push(1, 500))
    for version in range(1, 9):
        busy.add(push(version, 500))
    assert pool.used <= pool.limit
    assert (numbers(quiet), quiet.lost) == ([1], 0)
    assert busy.lost == 7
    for trail in (quiet, busy):
        trail.close()
    assert pool.used == 0


def test_what_was_perhaps_missed_leaves_a_gap() -> None:
    trail = Trail(ROOMY, Pool(1 << 20))
    trail.add(push(1))
    trail.skip()
    assert trail.add(push(2)) == 3
    assert (trail.covers(1), trail.covers(2)) == (False, True)


@given(
    st.lists(
        st.one_of(st.integers(0, 2_000).map(lambda size: ("add", size)), st.integers(0, 60).map(lambda n: ("ack", n)))
    ),
    st.integers(1, 5),
)
def test_numbers_are_dense_and_what_is_held_is_exactly_what_is_neither_seen_nor_lost(
    steps: list[tuple[str, int]], pushes: int
) -> None:
    pool = Pool(10_000)
    trail = Trail(ResumeLimits(pushes=pushes, bytes=4_000), pool)
    given_out = acknowledged = 0
    for what, number in steps:
        if what == "add":
            given_out += 1
            assert trail.add(push(given_out, number)) == given_out
        else:
            acknowledged = max(acknowledged, min(number, given_out))
            trail.acknowledge(acknowledged)
        assert numbers(trail) == list(range(max(trail.lost, acknowledged) + 1, given_out + 1))
        assert len(trail) <= pushes
    trail.close()
    assert pool.used == 0
