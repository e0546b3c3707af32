"""Errors: typed exceptions inside a process, `google.rpc.Status` with ErrorInfo between processes."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "plaudit"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Problem(Exception):
    """A failure with an answer for the caller: the base of every service's error tree.

    `field` names the request field at fault, `retry_after` is in seconds, `about` goes into the metadata of ErrorInfo.
    The reason is that of the class in an error table: a new reason is a new class. Callers receive `message`; `detail`,
    such as the text of an engine, is only for logs and operators: it is in `str(error)`.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        retry_after: float | None = None,
        about: Mapping[str, str] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.message = message
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.about = about or {}


class Invalid(Problem):
    """The request breaks a rule of the contract."""


class InvalidTarget(Invalid):
    """The target is not `collection/id` with a collection that exists."""


class Unauthenticated(Problem):
    """There is no valid token."""


class TokenExpired(Unauthenticated):
    """The token has expired: a new one helps."""


class Forbidden(Problem):
    """The caller may not do this."""


class AccessDenied(Forbidden):
    """The token does not allow this method, or not for this tenant or user; the message names what is required."""


class ActAsRequired(Forbidden):
    """Only a service with the scope `act-as` may name a user in `plaudit-user`."""


class Overloaded(Problem):
    """The server is overloaded; nothing was done."""


class TooMuchData(Overloaded):
    """The user sends more than the rates allow; nothing was done."""


class TooManyStreams(Overloaded):
    """The user, the service, the connection or the server has the maximum of streams."""


class Unavailable(Problem):
    """A dependency is unavailable; nothing was done."""


class Stopping(Unavailable):
    """The process is about to stop; nothing was done, another one can do it."""


class NodeUnreachable(Unavailable):
    """The node that serves the call could not be reached; nothing was done."""


class NoNode(Unavailable):
    """No live node serves the method; nothing was done."""


class NoSuchMethod(Problem):
    """The service does not have this method."""


class OutcomeUnknown(Problem):
    """The change may or may not have been made: retry with the same operation id."""


ErrorTable = Mapping[type[Exception], tuple[grpc.StatusCode, str]]

KIT_ERRORS: ErrorTable = {
    Invalid: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    InvalidTarget: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TARGET"),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, "INVALID_TOKEN"),
    TokenExpired: (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
    AccessDenied: (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED"),
    ActAsRequired: (grpc.StatusCode.PERMISSION_DENIED, "ACT_AS_REQUIRED"),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    TooMuchData: (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    TooManyStreams: (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
    Unavailable: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    Stopping: (grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    NodeUnreachable: (grpc.StatusCode.UNAVAILABLE, "NODE_UNREACHABLE"),
    NoNode: (grpc.StatusCode.UNAVAILABLE, "NO_NODE"),
    NoSuchMethod: (grpc.StatusCode.UNIMPLEMENTED, "NO_SUCH_METHOD"),
    OutcomeUnknown: (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN"),
    TimeoutError: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
}


class RemoteError(Exception):
    """A call to another process failed with a status."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status
        self.code: grpc.StatusCode = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
        self.message = status.message
        self.reason = ""
        self.field = ""
        self.retry_after: float | None = None
        self.about: Mapping[str, str] = {}
        for detail in status.details:
            self._read(detail)

    def _read(self, detail: any_pb2.Any) -> None:
        info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            self.reason = info.reason
            self.about = dict(info.metadata)
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(bad) and bad.field_violations:
            self.field = bad.field_violations[0].field


def problem_of_change(error: RemoteError) -> Problem:
    """The problem of a change that another process failed to make: anything but a definite answer is unknown."""
    kind: type[Problem] = Unavailable
    if error.reason == "OUTCOME_UNKNOWN" or error.code is not grpc.StatusCode.UNAVAILABLE:
        kind = OutcomeUnknown
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        kind = Overloaded
    return kind(error.message, retry_after=error.retry_after)


def make_status(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    *,
    field: str = "",
    retry_after: float | None = None,
    about: Mapping[str, str] | None = None,
) -> status_pb2.Status:
    """A status with ErrorInfo, and BadRequest or RetryInfo where there is a field or a time (seconds)."""
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(domain=DOMAIN, reason=reason, metadata=about))
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(max(1, round(retry_after * 1000)))
        status.details.add().Pack(retry)
    return status


def status_of(error: Exception, table: ErrorTable) -> status_pb2.Status:
    """The status an error is answered with; an error no table knows is INTERNAL, without detail."""
    if isinstance(error, RemoteError):
        return error.status
    entry = _entry_of(error, table)
    if entry is None:
        return make_status(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error")
    code, reason = entry
    if isinstance(error, Problem):
        return make_status(
            code, reason, error.message, field=error.field, retry_after=error.retry_after, about=error.about
        )
    return make_status(code, reason, str(error) or reason.lower().replace("_", " "))


def reason_of(error: Problem) -> str:
    """The reason of an error of KIT_ERRORS; of any other INTERNAL."""
    entry = _entry_of(error, {})
    return entry[1] if entry is not None else "INTERNAL"


def _entry_of(error: Exception, table: ErrorTable) -> tuple[grpc.StatusCode, str] | None:
    for kind in type(error).__mro__:
        if issubclass(kind, Exception) and (entry := table.get(kind) or KIT_ERRORS.get(kind)) is not None:
            return entry
    return None


def remote_error(status: status_pb2.Status) -> RemoteError:
    """The exception for a status that another process answered."""
    return RemoteError(status)
