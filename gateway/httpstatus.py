"""Errors over HTTP: `google.rpc.Status` as JSON, under the status code that belongs to it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import grpc
import msgspec
from aiohttp import web
from google.rpc import status_pb2

from gateway.errors import ERRORS
from gateway.jsonwrite import writer_of
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
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    417: grpc.StatusCode.INVALID_ARGUMENT,
    503: grpc.StatusCode.UNAVAILABLE,
}
_write = writer_of(status_pb2.Status.DESCRIPTOR)


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that nobody may keep."""
    fields = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=fields)


def error_response(status: status_pb2.Status, http: int | None = None) -> web.Response:
    """The answer for a status; `http` where HTTP has a better code than the status."""
    error = remote_error(status)
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    http = http or _HTTP.get(error.code, 500)
    if http == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_response(_write(status), status=http, headers=headers)


def failure(error: Exception) -> web.Response:
    """The answer for an exception."""
    return error_response(status_of(error, ERRORS))


def http_error(http: int, reason: str, message: str) -> web.Response:
    """The answer for what only HTTP knows of: methods, types, sizes."""
    return error_response(make_status(_CODES.get(http, grpc.StatusCode.INVALID_ARGUMENT), reason, message), http)


async def body_of(request: web.Request, seconds: float) -> bytes:
    """The body of a request, which has so long to come; raises `web.HTTPRequestTimeout`."""
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
