"""Errors of the gateway itself."""

from __future__ import annotations

import grpc

from kit.access.errors import ACCESS_ERRORS
from kit.errors import ErrorTable, Problem, Unavailable


class Draining(Problem):
    """The node is draining and has no sessions."""


class NoSuchSession(Problem):
    """No session of that id and user is here."""


class NoRoute(Problem):
    """No route has this path."""


class PushesMissed(Unavailable):
    """Pushes of a conversation may be missing: subscribe again, then load what was missed."""


ERRORS: ErrorTable = {
    **ACCESS_ERRORS,
    PushesMissed: (grpc.StatusCode.UNAVAILABLE, "PUSHES_MISSED"),
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    NoSuchSession: (grpc.StatusCode.NOT_FOUND, "NO_SUCH_SESSION"),
    NoRoute: (grpc.StatusCode.NOT_FOUND, "NO_ROUTE"),
}
