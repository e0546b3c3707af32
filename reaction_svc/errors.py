"""The errors of the service, and the reason of each on the wire."""

from __future__ import annotations

import grpc

from kit.access.errors import ACCESS_ERRORS
from kit.auth.cursor import InvalidCursor
from kit.errors import ErrorTable, Invalid, Problem
from kit.ledger.errors import LEDGER_ERRORS


class InvalidEmoji(Invalid):
    """The text is not exactly one emoji or the name of one."""


class TooManyEmoji(Problem):
    """The target has the maximum of different emoji; reactions can still be removed."""


class OpConflict(Problem):
    """The operation id was used on this target for another change, or by another user."""


class RateLimited(Problem):
    """The user exceeds the rate limit; nothing was done."""


ERRORS: ErrorTable = {
    **LEDGER_ERRORS,
    **ACCESS_ERRORS,
    InvalidEmoji: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_EMOJI"),
    TooManyEmoji: (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_EMOJI"),
    OpConflict: (grpc.StatusCode.ABORTED, "OP_CONFLICT"),
    InvalidCursor: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CURSOR"),
    RateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
}
