"""Errors of Envoy itself, in the format of the services: `google.rpc.Status` in JSON, or a gRPC status with details."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass

import grpc
from google.protobuf import json_format

from gateway.http.head import HEAD_TOO_LARGE
from kit.auth.jose import MESSAGE
from kit.errors import make_status
from stack.envoy.routes import ORIGINAL_PATH
from stack.envoy.types import Config, extension

_IS_GRPC = {
    "and_filter": {
        "filters": [
            {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}},
            # A request that the transcoder turned into a gRPC call is still answered as REST.
            {"header_filter": {"header": {"name": ORIGINAL_PATH, "present_match": True, "invert_match": True}}},
        ]
    }
}


@dataclass(frozen=True, slots=True)
class _Reply:
    """One kind of answer: its condition, HTTP status (0: that of Envoy) and text."""

    when: Config
    http: int
    code: grpc.StatusCode
    reason: str
    message: str
    retry_after: float | None = None


def _flags(*flags: str) -> Config:
    return {"response_flag_filter": {"flags": list(flags)}}


def _status(status: int, operation: str = "EQ") -> Config:
    value = {"default_value": status, "runtime_key": "none"}
    return {"status_code_filter": {"comparison": {"op": operation, "value": value}}}


def _details(text: str) -> Config:
    """A reply whose response code details (Envoy's own name of its cause) contain a text."""
    expression = f"response.code_details.contains('{text}')"
    return {"extension_filter": extension("envoy.access_loggers.extension_filters.cel", "Cel", expression=expression)}


_TOKEN = (grpc.StatusCode.UNAUTHENTICATED, "INVALID_TOKEN", MESSAGE)
_UNREACHED = (
    grpc.StatusCode.UNAVAILABLE,
    "NODE_UNREACHABLE",
    "no node could be reached; nothing was done",
    0.2,
)
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_REPLIES = (
    # After these the node may have made the change: reset or lost after it was sent, or no answer in time.
    _Reply(
        _flags("UC", "UR", "UT", "LR", "DT", "UPE", "UMSDR", "SI"),
        503,
        grpc.StatusCode.UNAVAILABLE,
        "OUTCOME_UNKNOWN",
        "no answer came from the node; retry with the same op_id",
    ),
    _Reply(_flags("UF", "UH", "UO", "NC"), 503, *_UNREACHED),
    # Envoy looks at the time before the signature: a forged token that has expired is answered like this, too.
    _Reply(_details("Jwt_is_expired"), 0, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", MESSAGE),
    _Reply(_status(401), 0, *_TOKEN),
    # A token for another audience.
    _Reply(_status(403), 401, *_TOKEN),
    _Reply(_status(404), 0, grpc.StatusCode.UNIMPLEMENTED, "NO_SUCH_METHOD", "there is nothing at this path"),
    _Reply(_status(408), 0, grpc.StatusCode.DEADLINE_EXCEEDED, "TOO_SLOW", "the request came too slowly"),
    _Reply(
        _status(413),
        0,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BODY_TOO_LARGE",
        "the body is too large: send less at a time",
    ),
    _Reply(_status(431), 0, grpc.StatusCode.RESOURCE_EXHAUSTED, "HEAD_TOO_LARGE", HEAD_TOO_LARGE),
    _Reply(_status(429), 0, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "too many requests", 1.0),
    _Reply(_status(500, "GE"), 503, *_UNREACHED),
    _Reply(_status(400, "GE"), 0, _INVALID, "INVALID_REQUEST", "the request is not valid"),
)
# REST names two of them as the gateways do.
_REST_CODES = {
    "NO_SUCH_METHOD": (grpc.StatusCode.NOT_FOUND, "NO_ROUTE"),
    "BODY_TOO_LARGE": (_INVALID, "BODY_TOO_LARGE"),
}


def local_replies() -> Config:
    """The `local_reply_config`."""
    return {"mappers": [mapper for reply in _REPLIES for mapper in (_grpc(reply), _rest(reply))]}


def _grpc(reply: _Reply) -> Config:
    status = make_status(reply.code, reply.reason, reply.message, retry_after=reply.retry_after)
    details = b64encode(status.SerializeToString()).rstrip(b"=").decode()
    headers = [_header("grpc-status", str(status.code)), _header("grpc-status-details-bin", details)]
    if reply.code is grpc.StatusCode.UNAUTHENTICATED:
        headers.append(_header("www-authenticate", "Bearer"))
    return {
        "filter": {"and_filter": {"filters": [_IS_GRPC, reply.when]}},
        "headers_to_add": headers,
        "body_format_override": {"text_format_source": {"inline_string": reply.message}},
    }


def _rest(reply: _Reply) -> Config:
    code, reason = _REST_CODES.get(reply.reason, (reply.code, reply.reason))
    status = make_status(code, reason, reply.message, retry_after=reply.retry_after)
    headers = [_header("cache-control", "no-store"), _header("x-content-type-options", "nosniff")]
    if code is grpc.StatusCode.UNAUTHENTICATED:
        headers.append(_header("www-authenticate", "Bearer"))
    if reply.retry_after is not None:
        headers.append(_header("retry-after", str(max(1, round(reply.retry_after)))))
    body = json.loads(json_format.MessageToJson(status))
    mapper: Config = {
        "filter": reply.when,
        "headers_to_add": headers,
        "body_format_override": {"json_format": body},
    }
    return mapper | {"status_code": reply.http} if reply.http else mapper


def _header(name: str, value: str) -> Config:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
