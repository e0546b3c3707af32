"""Errors of the registry, and their status codes."""

from __future__ import annotations

import grpc

from kit.cluster.registry_endpoints import LEADER, NOT_LEADER
from kit.errors import ErrorTable, Problem, Unavailable


class NotAttached(Problem):
    """The first request of a stream names no node."""


class LeaseExpired(Problem):
    """The node did not renew its lease, and all it held was dropped."""


class Replaced(Problem):
    """The node has attached again since."""


class LimitReached(Problem):
    """A configured limit is reached."""


class WatchLagged(Problem):
    """The watcher read too slowly."""


class NotLeader(Unavailable):
    """Another registry leads, or none."""

    def __init__(self, leader: str) -> None:
        """`leader`: its address; "" where none is known."""
        where = f"the registry at {leader} leads" if leader else "no registry leads at the moment"
        super().__init__(where, retry_after=None if leader else 0.2, about={LEADER: leader} if leader else None)


ERRORS: ErrorTable = {
    NotLeader: (grpc.StatusCode.UNAVAILABLE, NOT_LEADER),
    NotAttached: (grpc.StatusCode.FAILED_PRECONDITION, "NOT_ATTACHED"),
    LeaseExpired: (grpc.StatusCode.ABORTED, "LEASE_EXPIRED"),
    Replaced: (grpc.StatusCode.ABORTED, "REPLACED"),
    LimitReached: (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED"),
    WatchLagged: (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCH_LAGGED"),
}
