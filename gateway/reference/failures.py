"""The failures of calls over HTTP: the statuses of a route, each with its reasons."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.errors import ERRORS
from gateway.http.status import HTTP_FAILURES, http_of
from gateway.reference.comments import Failure
from kit.errors import KIT_ERRORS, TooManyStreams

_BODY_REASONS = ("BODY_", "UNSUPPORTED_")
"""Prefixes of the reasons that apply only to a request with a body."""
_METHOD_NOT_ALLOWED = 405
"""Not a status of any method in the document."""


def statuses_of(stated: Iterable[Failure], *, has_body: bool, is_public: bool) -> Mapping[int, Mapping[str, str]]:
    """The statuses of a route other than 200, in order, each with its reasons and their meanings.

    `stated`: the failures that the contract states.
    """
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for kind, (code, reason) in KIT_ERRORS.items():
        if kind is TooManyStreams or (is_public and http_of(code) in (401, 403)):
            continue
        found[http_of(code)][reason] = _meaning(kind)
    for reason, failure in HTTP_FAILURES.items():
        if failure.status != _METHOD_NOT_ALLOWED and (has_body or not reason.startswith(_BODY_REASONS)):
            found[failure.status][reason] = failure.meaning
    for code, reason in ERRORS.values():
        if reason == "DRAINING":
            found[http_of(code)].setdefault(reason, "The node is going away.")
    for one in stated:
        found[http_of(one.code)].setdefault(one.reason or one.code.name, "")
    found[500]["INTERNAL"] = "A fault of the server. Nothing more is said of it."
    return {status: found[status] for status in sorted(found)}


def _meaning(kind: type[Exception]) -> str:
    if kind is TimeoutError:
        return "There was no answer in time."
    return inspect.cleandoc(kind.__doc__ or "")
