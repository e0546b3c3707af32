"""What can go wrong when nodes attach and watch, and the code each failure is answered with."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem


class NotAttached(Problem):
    """The first request of a stream names no node."""


class LeaseExpired(Problem):
    """The node was silent for too long and all it held is forgotten."""


class Replaced(Problem):
    """The node has attached anew since."""


class LimitReached(Problem):
    """The registry holds as much as it was set to hold."""


class WatchLagged(Problem):
    """The watcher read too slowly to be told every change."""


ERRORS: ErrorTable = {
    NotAttached: (grpc.StatusCode.FAILED_PRECONDITION, "NOT_ATTACHED"),
    LeaseExpired: (grpc.StatusCode.ABORTED, "LEASE_EXPIRED"),
    Replaced: (grpc.StatusCode.ABORTED, "REPLACED"),
    LimitReached: (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED"),
    WatchLagged: (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCH_LAGGED"),
}
