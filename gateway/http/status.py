"""Errors over HTTP: `google.rpc.Status` as JSON, under the status code that belongs to it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import NamedTuple

import grpc
import msgspec
from aiohttp import web
from google.rpc import status_pb2

from gateway.errors import ERRORS
from gateway.json_codec.writer import writer_of
from kit.errors import make_status, remote_error, status_of

# The mapping that google/rpc/code.proto documents.
_HTTP = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class HttpFailure(NamedTuple):
    """A status, the code that belongs to it, and what it means."""

    status: int
    code: grpc.StatusCode
    meaning: str


_BAD = grpc.StatusCode.INVALID_ARGUMENT
_FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
_LATE = grpc.StatusCode.DEADLINE_EXCEEDED
_NOT_HERE = grpc.StatusCode.UNIMPLEMENTED
HTTP_FAILURES: Mapping[str, HttpFailure] = {
    "BAD_REQUEST": HttpFailure(400, _BAD, "The request is not HTTP/1.1."),
    "BAD_REQUEST_LINE": HttpFailure(400, _BAD, "The first line of the request is not HTTP/1.1."),
    "BAD_FRAMING": HttpFailure(400, _BAD, "Where the request ends is not certain."),
    "BAD_BODY": HttpFailure(400, _BAD, "The body is not framed as HTTP/1.1 frames it."),
    "BAD_PATH": HttpFailure(400, _BAD, "The path is not UTF-8."),
    "BAD_HOST": HttpFailure(400, _BAD, "The Host header does not name this server."),
    "BODY_INCOMPLETE": HttpFailure(400, _BAD, "The body broke off."),
    "HEAD_TOO_LARGE": HttpFailure(431, _FULL, "The head of the request, with its path, is too large."),
    "TOO_MANY_FIELDS": HttpFailure(431, _FULL, "The request has too many header fields."),
    "BAD_ORIGIN": HttpFailure(403, grpc.StatusCode.PERMISSION_DENIED, "Pages of this origin may not call this server."),
    "METHOD_NOT_ALLOWED": HttpFailure(405, grpc.StatusCode.UNIMPLEMENTED, "The path does not have this method."),
    "BAD_EXPECTATION": HttpFailure(417, _BAD, "Only `100-continue` can be expected."),
    "UNKNOWN_METHOD": HttpFailure(501, _NOT_HERE, "The method is none that this server knows."),
    "UNSUPPORTED_TRANSFER_CODING": HttpFailure(501, _NOT_HERE, "The only transfer coding that is served is `chunked`."),
    "BAD_VERSION": HttpFailure(505, _NOT_HERE, "Only HTTP/1.1 is spoken here."),
    "BODY_TOO_SLOW": HttpFailure(408, _LATE, "The body did not come in time."),
    "BODY_TOO_LARGE": HttpFailure(413, _BAD, "The body is too large."),
    "UNSUPPORTED_MEDIA_TYPE": HttpFailure(415, _BAD, "A body is `application/json` in UTF-8."),
    "UNSUPPORTED_ENCODING": HttpFailure(415, _BAD, "A body is not compressed."),
    "BAD_HEADER": HttpFailure(400, _BAD, "A header field is malformed."),
    "HEAD_TOO_SLOW": HttpFailure(408, _LATE, "The head of the request did not come in time."),
    "TOO_SLOW": HttpFailure(408, _LATE, "The request did not come in time. Envoy's answer."),
    "TOO_MANY_IDLE": HttpFailure(429, _FULL, "The address has too many connections without authentication."),
    "NO_ROOM": HttpFailure(503, grpc.StatusCode.UNAVAILABLE, "The server takes no more connections."),
}
"""The failures of HTTP itself, by reason."""
HANDSHAKE_FAILURES: Mapping[str, HttpFailure] = {
    "BAD_METHOD": HttpFailure(405, _NOT_HERE, "A WebSocket is opened with GET."),
    "UPGRADE_REQUIRED": HttpFailure(426, grpc.StatusCode.FAILED_PRECONDITION, "The path speaks WebSocket only."),
    "BAD_WEBSOCKET_VERSION": HttpFailure(426, grpc.StatusCode.FAILED_PRECONDITION, "The version of WebSocket is 13."),
    "BAD_WEBSOCKET_KEY": HttpFailure(400, _BAD, "Sec-WebSocket-Key is not 16 bytes in base64."),
    "BAD_SUBPROTOCOL": HttpFailure(400, _BAD, "The offered subprotocols are malformed."),
    "NO_SUBPROTOCOL": HttpFailure(400, _BAD, "None of the offered subprotocols is spoken here."),
    "HANDSHAKE_WITH_BODY": HttpFailure(400, _BAD, "The request that opens a WebSocket has a body."),
    "TOKEN_IN_URL": HttpFailure(400, _BAD, "A token is in the URL: it belongs in a header or a subprotocol."),
    "NOT_FOUND": HttpFailure(404, grpc.StatusCode.NOT_FOUND, "There is no WebSocket at this path."),
    "TOO_MANY_CONNECTIONS": HttpFailure(429, _FULL, "The address has too many open WebSockets."),
    "TOO_MANY_HANDSHAKES": HttpFailure(429, _FULL, "The address opens WebSockets too fast."),
    "TOO_BUSY": HttpFailure(503, grpc.StatusCode.UNAVAILABLE, "Too many clients open WebSockets at once."),
}
"""Failures of the opening of a WebSocket, in addition to HTTP_FAILURES, by reason."""
_CODES = {http: code for code, http in reversed(_HTTP.items())} | {
    failure.status: failure.code for failure in HTTP_FAILURES.values()
}
_write = writer_of(status_pb2.Status.DESCRIPTOR)


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that is not cached."""
    fields = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=fields)


def error_response(status: status_pb2.Status, http: int | None = None) -> web.Response:
    """The answer for a status; `http` where HTTP has a better code than the status."""
    error = remote_error(status)
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    http = http or http_of(error.code)
    if http == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_response(_write(status), status=http, headers=headers)


def failure(error: Exception) -> web.Response:
    """The answer for an exception."""
    return error_response(status_of(error, ERRORS))


def http_error(reason: str, message: str) -> web.Response:
    """The answer for one of `HTTP_FAILURES`."""
    failure = HTTP_FAILURES[reason]
    return error_response(make_status(failure.code, reason, message), failure.status)


def refused(http: int, reason: str, message: str) -> web.Response:
    """The answer to a request that is refused because of its head, before it is known which call it is."""
    return error_response(make_status(_CODES.get(http, _BAD), reason, message), http)


def http_of(code: grpc.StatusCode) -> int:
    """The status that belongs to a gRPC code."""
    return _HTTP.get(code, 500)


async def body_of(request: web.Request, seconds: float) -> bytes:
    """The body of a request. Raises `web.HTTPRequestTimeout` where it is not complete after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
