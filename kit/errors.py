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

    `field` names the request field at fault, `retry_after` is in seconds, `reason` overrides the error table's, `about`
    goes into the metadata of ErrorInfo. Callers receive `message`; `detail`, such as the text of an engine, is only for
    logs and operators: it is in `str(error)`.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        retry_after: float | None = None,
        reason: str | None = None,
        about: Mapping[str, str] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.message = message
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.reason = reason
        self.about = about or {}


class Invalid(Problem):
    """The request breaks a rule of the contract."""


class Unauthenticated(Problem):
    """There is no valid token."""


class Forbidden(Problem):
    """The caller may not do this."""


class Overloaded(Problem):
    """The server is overloaded; nothing was done."""


class Unavailable(Problem):
    """A dependency is unavailable; nothing was done."""


class OutcomeUnknown(Problem):
    """The change may or may not have been made: retry with the same operation id."""


ErrorTable = Mapping[type[Exception], tuple[grpc.StatusCode, str]]

KIT_ERRORS: ErrorTable = {
    Invalid: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, "INVALID_TOKEN"),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    Unavailable: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
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
    for kind in type(error).__mro__:
        if not issubclass(kind, Exception):
            continue
        entry = table.get(kind) or KIT_ERRORS.get(kind)
        if entry is None:
            continue
        code, reason = entry
        if isinstance(error, Problem):
            return make_status(
                code,
                error.reason or reason,
                error.message,
                field=error.field,
                retry_after=error.retry_after,
                about=error.about,
            )
        return make_status(code, reason, str(error) or reason.lower().replace("_", " "))
    return make_status(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error")


def remote_error(status: status_pb2.Status) -> RemoteError:
    """The exception for a status that another process answered."""
    return RemoteError(status)
