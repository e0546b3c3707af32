"""Errors of the counter, and their status codes."""

from __future__ import annotations

import grpc

from kit.access.errors import ACCESS_ERRORS
from kit.errors import ErrorTable, Problem, Unavailable


class NotCaughtUp(Problem):
    """No source reached the requested version in time."""


class Draining(Unavailable):
    """The service is stopping; watch again, elsewhere or later."""


class Moved(Unavailable):
    """The partition is assigned to another node, or is moving."""


class RecordsUnreachable(Unavailable):
    """reaction_svc, which keeps the records, did not answer."""


ERRORS: ErrorTable = {
    **ACCESS_ERRORS,
    NotCaughtUp: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    Moved: (grpc.StatusCode.UNAVAILABLE, "PARTITION_MOVED"),
    RecordsUnreachable: (grpc.StatusCode.UNAVAILABLE, "RECORDS_UNREACHABLE"),
    # The caller's deadline ended a wait: all waits are for a version.
    TimeoutError: (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP"),
}
