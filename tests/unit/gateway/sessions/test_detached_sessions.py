"""Sessions without a socket: how many are kept, in total and per user."""

from __future__ import annotations

from gateway.config import ResumeLimits
from gateway.sessions.detached_sessions import DetachedSession, DetachedSessions
from gateway.sessions.replay_buffer import MemoryBudget, ReplayBuffer

LIMITS = ResumeLimits(sessions=6, sessions_per_user=2, window=10)


class NoTopics:
    """Durable topics without subscribers."""


def detached(session_id: str, user: str) -> DetachedSession:
    return DetachedSession(
        session_id, "default", user, "phone", (), ReplayBuffer(LIMITS, MemoryBudget(LIMITS.total_bytes))
    )


def detach_all(*users: str) -> tuple[DetachedSessions, list[str]]:
    """Detaches sessions of these users, in order; returns those kept, and the ids of those that ended."""
    kept = DetachedSessions(LIMITS, NoTopics())  # type: ignore[arg-type]
    ended: list[str] = []
    for number, user in enumerate(users):
        ended += [session.session_id for session in kept.add(detached(f"{user}{number}", user), number)]
    return kept, ended


def test_many_sessions_of_a_user_end_none_of_another_user() -> None:
    kept, ended = detach_all("bob", *["alice"] * 10)
    assert "bob0" in kept
    assert ended == [f"alice{number}" for number in range(1, 9)]
    assert len(kept) == 3


def test_above_the_total_the_oldest_sessions_end() -> None:
    _, ended = detach_all("a", "b", "c", "d", "e", "f", "g")
    assert ended == ["a0"]


def test_a_session_that_was_removed_or_has_expired_does_not_count() -> None:
    kept, _ = detach_all("alice", "alice")
    assert kept.remove("alice0") is not None
    assert kept.add(detached("next", "alice"), 5) == []
    assert [session.session_id for session in kept.expire(12)] == ["alice1"]
    assert kept.add(detached("last", "alice"), 13) == []
    assert kept.remove("gone") is None
