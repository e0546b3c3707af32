"""Errors of the gateway itself."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem


class Draining(Problem):
    """The node is draining and has no sessions."""


class NoSuchSession(Problem):
    """No session of that id and user is here."""


class NoRoute(Problem):
    """No route has this path."""


ERRORS: ErrorTable = {
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    NoSuchSession: (grpc.StatusCode.NOT_FOUND, "NO_SUCH_SESSION"),
    NoRoute: (grpc.StatusCode.NOT_FOUND, "NO_ROUTE"),
}
