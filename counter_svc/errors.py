"""What can go wrong here, and how callers are told."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem, Unavailable


class NotCaughtUp(Problem):
    """The fold has not reached a version asked for in time; it will."""


class Draining(Unavailable):
    """The room is stopping; watch again, elsewhere or later."""


class Moved(Unavailable):
    """Another node folds this partition of the log, or is about to."""


class RecordsUnreachable(Unavailable):
    """The records could not be counted: the reaction service did not answer."""


ERRORS: ErrorTable = {
    NotCaughtUp: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    Moved: (grpc.StatusCode.UNAVAILABLE, "PARTITION_MOVED"),
    RecordsUnreachable: (grpc.StatusCode.UNAVAILABLE, "RECORDS_UNREACHABLE"),
    # Where the caller's deadline ends a wait before ours does: nothing here waits for anything but the fold.
    TimeoutError: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
}
