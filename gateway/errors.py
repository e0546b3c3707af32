"""What can go wrong at the edge, beside what the services answer."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem


class Draining(Problem):
    """The node's last socket is gone."""


class NoSuchSession(Problem):
    """No session of that id and user is here."""


class NoRoute(Problem):
    """Nothing is served at this path."""


ERRORS: ErrorTable = {
    Draining: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    NoSuchSession: (grpc.StatusCode.NOT_FOUND, "NO_SUCH_SESSION"),
    NoRoute: (grpc.StatusCode.NOT_FOUND, "NO_ROUTE"),
}
