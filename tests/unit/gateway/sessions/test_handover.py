"""The snapshot of a session that moves: its own pushes, although buffers share them with those of other sessions."""

from __future__ import annotations

from gateway.config import ResumeLimits
from gateway.fanout.delivery import Delivery
from gateway.sessions.detached_sessions import DetachedSession
from gateway.sessions.handover import snapshot_of
from gateway.sessions.replay_buffer import MemoryBudget, ReplayBuffer


def test_a_push_that_went_to_several_users_is_one_of_the_users_own_topic() -> None:
    limits = ResumeLimits()
    buffers = {user: ReplayBuffer(limits, MemoryBudget(limits.total_bytes)) for user in ("alice", "bob")}
    shared = Delivery("acme", "users/alice", "new_message", b"x", 1, "conv_1 1", "conv_1")
    for user, buffer in buffers.items():
        detached = DetachedSession(f"of {user}", "acme", user, "phone", (f"users/{user}",), buffer)
        detached.deliver(shared)
        assert [(seq, push.topic) for seq, push in snapshot_of(detached, {}).pushes] == [(1, f"users/{user}")]
