"""Sessions without a socket: how many are kept, in all and of one user."""

from __future__ import annotations

from gateway.config import ResumeLimits
from gateway.sessions.detached_sessions import Departed, Departures
from gateway.sessions.replay_buffer import Pool, Trail

LIMITS = ResumeLimits(sessions=6, sessions_per_user=2, window=10)


class NoTopics:
    """Durable topics that nobody listens to."""


def departed(session_id: str, user: str) -> Departed:
    return Departed(session_id, "default", user, "phone", (), Trail(LIMITS, Pool(LIMITS.total_bytes)))


def keeping(*users: str) -> tuple[Departures, list[str]]:
    """Sessions that were left one after the other, and those forgotten for them; ids are user and number."""
    kept = Departures(LIMITS, NoTopics())  # type: ignore[arg-type]
    forgotten: list[str] = []
    for number, user in enumerate(users):
        forgotten += [over.session_id for over in kept.keep(departed(f"{user}{number}", user), number)]
    return kept, forgotten


def test_a_user_who_leaves_many_sessions_pushes_out_none_of_another() -> None:
    kept, forgotten = keeping("bob", *["alice"] * 10)
    assert "bob0" in kept
    assert forgotten == [f"alice{number}" for number in range(1, 9)]
    assert len(kept) == 3


def test_above_the_total_those_left_first_are_forgotten() -> None:
    _, forgotten = keeping("a", "b", "c", "d", "e", "f", "g")
    assert forgotten == ["a0"]


def test_a_session_that_was_taken_up_or_has_expired_counts_no_longer() -> None:
    kept, _ = keeping("alice", "alice")
    assert kept.take("alice0") is not None
    assert kept.keep(departed("next", "alice"), 5) == []
    assert [over.session_id for over in kept.expire(12)] == ["alice1"]
    assert kept.keep(departed("last", "alice"), 13) == []
    assert kept.take("gone") is None
