"""What can go wrong here, and how callers are told."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem, Unavailable


class NotCaughtUp(Problem):
    """No place has reached the version asked for in time."""


class Draining(Unavailable):
    """The service is stopping; watch again, elsewhere or later."""


class Moved(Unavailable):
    """Another node follows this partition of the log, or is about to."""


class RecordsUnreachable(Unavailable):
    """The reaction service, which keeps the records, did not answer."""


ERRORS: ErrorTable = {
    NotCaughtUp: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    Moved: (grpc.StatusCode.UNAVAILABLE, "PARTITION_MOVED"),
    RecordsUnreachable: (grpc.StatusCode.UNAVAILABLE, "RECORDS_UNREACHABLE"),
    # Where the caller's deadline ends a wait before ours does: nothing here waits for anything but a version.
    TimeoutError: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
}
