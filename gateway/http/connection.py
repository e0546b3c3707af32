"""An HTTP connection: that of aiohttp, with other answers to malformed requests."""

from __future__ import annotations

import re
from typing import Any

import structlog
from aiohttp import StreamReader, http_exceptions, web
from aiohttp.web_protocol import _ErrInfo
from aiohttp.web_request import BaseRequest

from gateway.http.head import HEAD_TOO_LARGE
from gateway.http.status import failure, http_error

log = structlog.get_logger()
_SLICE = 8 * 1024
_MAX_WITHOUT_DATA = 8 * 1024
"""Bytes of a body's framing without a byte of data between: the line of a chunk, or the trailers."""
_BAD_BODY = "the body is not framed as HTTP/1.1 frames it"
# The message of the parser begins with a fixed text; the rest is input of the client, which is not for answers or logs.
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9 '/-]{3,79}")


class HttpConnection(web.RequestHandler):
    """See `web.RequestHandler`. Requests that its parser refuses are answered like others, and logged in one line."""

    __slots__ = ("_without_data",)

    def __init__(self, *options: Any, **more: Any) -> None:
        super().__init__(*options, **more)
        self._without_data = 0

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if len(data) <= _SLICE:
            self._parse(data)
            return
        # In slices, for the parser reports no end of a chunk's line, and has no limit for it.
        for begin in range(0, len(data), _SLICE):
            self._parse(data[begin : begin + _SLICE])

    def _parse(self, data: bytes) -> None:
        body = self._body()
        received = body.total_bytes if body is not None else 0
        super().data_received(data)
        # A paused parser buffers what it has not read yet.
        is_paused = self._reading_paused or self._buffer_paused
        if body is None or body.is_eof() or body.total_bytes > received or is_paused:
            self._without_data = 0
        else:
            self._without_data += len(data)
            if self._without_data > _MAX_WITHOUT_DATA:
                body.set_exception(web.RequestPayloadError(_BAD_BODY))
                body.feed_eof()
                self.close()
                return
        self._check_body()

    def _body(self) -> StreamReader | None:
        """The body that the parser is in; None: it is in no body."""
        if self._messages:
            body: StreamReader | None = self._messages[-1][1]
        else:
            request = self._current_request
            body = request.content if request is not None else None
        return body if body is not None and not body.is_eof() else None

    def _check_body(self) -> None:
        request = self._current_request
        if request is None or request.content.is_eof() or not self._messages:
            return
        # The parser has failed inside a body. The handler of the request would wait for the rest until its timeout, and
        # the refusal, which is queued, for the handler.
        if isinstance(self._messages[-1][0], _ErrInfo):
            request.content.set_exception(web.RequestPayloadError(_BAD_BODY))
            request.content.feed_eof()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to a malformed request, or to a failed handler; the connection closes after it."""
        if isinstance(exc, http_exceptions.HttpProcessingError):
            reason, text = _refusal(exc)
            response = http_error(reason, text)
            log.info("request refused", status=response.status, reason=reason, peer=request.remote)
        else:
            log.error("request failed", exc_info=exc)
            response = failure(RuntimeError())
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer was sent")
        response.force_close()
        return response


def _refusal(error: http_exceptions.HttpProcessingError) -> tuple[str, str]:
    """Reason and message for what the parser refused."""
    if isinstance(error, http_exceptions.LineTooLong):
        return "HEAD_TOO_LARGE", HEAD_TOO_LARGE
    if error.message == "Too many headers received":
        return "TOO_MANY_FIELDS", "the request has too many header fields"
    if isinstance(error, http_exceptions.BadHttpMethod):
        return "UNKNOWN_METHOD", "the method is none that is known here"
    if isinstance(error, http_exceptions.InvalidURLError):
        return "BAD_REQUEST_LINE", "the request line is not HTTP/1.1"
    found = _REASON.match(error.message or "")
    why = f": {found[0].strip()}" if found else ""
    return "BAD_REQUEST", f"the request is not HTTP/1.1{why}"
