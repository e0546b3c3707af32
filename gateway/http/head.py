"""The head of an HTTP/1.1 request: parsing, the checks of Host and Origin, and the answer to a refused one (no I/O)."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.http.request_target import RequestTarget, parse_request_target
from gateway.limits import SocketLimits

Headers = CIMultiDictProxy[str]

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token of RFC 9110, 5.6.2."""
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(r"[\x21-\x7e]+")
_VERSION = re.compile(r"HTTP/\d\.\d")
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"(?P<scheme>https?)://" + _HOST.pattern, re.IGNORECASE)
FOREIGN = "pages of this origin may not call; the setting PLAUDIT_GATEWAY__SOCKET__ORIGINS names those that may"
NOT_HTTP = "the request line is not HTTP/1.1: it is a method, a path and HTTP/1.1, with a space between them"
HEAD_TOO_LARGE = "the request head is too large; what is long goes into the body of a POST"
_PORTS = {"http": 80, "https": 443}
_INTERNAL = ("plaudit-", "x-plaudit-")
_CODES = {
    400: (3, "INVALID_ARGUMENT"),
    401: (16, "UNAUTHENTICATED"),
    403: (7, "PERMISSION_DENIED"),
    404: (5, "NOT_FOUND"),
    405: (12, "UNIMPLEMENTED"),
    408: (4, "DEADLINE_EXCEEDED"),
    426: (9, "FAILED_PRECONDITION"),
    429: (8, "RESOURCE_EXHAUSTED"),
    431: (8, "RESOURCE_EXHAUSTED"),
    500: (13, "INTERNAL"),
    503: (14, "UNAVAILABLE"),
    505: (12, "UNIMPLEMENTED"),
}


@dataclass(frozen=True, slots=True)
class Head:
    """The parsed head of a request; `headers` has no internal fields."""

    method: str
    target: str
    """Path and query."""
    version: str
    headers: Headers
    host: str
    """The host that the request is for, as its target or its Host header names it; empty: neither does."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def upgrades(self) -> bool:
        """Whether the client wants this connection to become a WebSocket."""
        return wants_websocket(self.headers)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answers a request with an error; `reason` is for programs, in UPPER_SNAKE_CASE, `message` is for humans."""

    status: int
    reason: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class HandshakeError(Exception):
    """A check has failed; `answer` is the refusal."""

    def __init__(self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.answer = Refuse(status, reason, message, headers or {})


def is_internal(name: str) -> bool:
    """Whether a header field is reserved for internal use, and dropped from requests of clients."""
    return name.lower().startswith(_INTERNAL)


def parse_head(data: bytes, limits: SocketLimits) -> Head:
    """Parses a complete request head, without its last empty line. Raises `HandshakeError` with 400, 431 or 505."""
    first, *lines = data.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if not (TOKEN.fullmatch(method) and _TARGET.fullmatch(target) and _VERSION.fullmatch(version)):
        raise HandshakeError(400, "BAD_REQUEST_LINE", NOT_HTTP)
    if not version.startswith("HTTP/1."):
        raise HandshakeError(505, "BAD_VERSION", "only HTTP/1.1 is spoken here")
    if len(lines) > limits.head_fields:
        raise HandshakeError(431, "TOO_MANY_FIELDS", f"a request has at most {limits.head_fields} header fields")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
            raise HandshakeError(400, "BAD_HEADER", "a header field is malformed")
        if not is_internal(name):
            headers.add(name.lower(), value.strip(" \t"))
    parsed = parse_request_target(method, target)
    host = check_target(version, parsed, headers, limits.hosts)
    return Head(method, parsed.path, version, CIMultiDictProxy(headers), host)


def check_beginning(data: bytes | bytearray) -> bool:
    """Whether the first line is complete. Raises `HandshakeError` with 400 for bytes that cannot become a head.

    TLS, HTTP/0.9 and lines without a carriage return have no end of the head to wait for.
    """
    line, end, _ = data.partition(b"\n")
    if end and not line.endswith(b"\r"):
        raise HandshakeError(400, "BAD_REQUEST_LINE", "lines of a head end with CR LF")
    if line.startswith(b"\x16\x03"):
        raise HandshakeError(400, "BAD_REQUEST_LINE", "this port speaks HTTP without TLS")
    parts = line.rstrip(b"\r").decode("latin-1").split(" ")
    method_wrong = TOKEN.fullmatch(parts[0]) is None and (end or parts[0] != "")
    if method_wrong or (end and len(parts) != 3):
        raise HandshakeError(400, "BAD_REQUEST_LINE", NOT_HTTP)
    return bool(end)


def check_target(
    version: str, target: RequestTarget, headers: CIMultiDict[str] | Headers, allowed: Iterable[str]
) -> str:
    """The host that a request is for; empty in HTTP/1.0 without one.

    Raises `HandshakeError` for a scheme that is not served, and for a host that is not `allowed` (none: any is).
    """
    if not target.is_served(upgrades=wants_websocket(headers)):
        raise HandshakeError(400, "BAD_REQUEST_LINE", "only http and https are served, and ws and wss for handshakes")
    hosts = headers.getall("host", []) if target.authority is None else [target.authority]
    if not hosts and version == "HTTP/1.0":
        return ""
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        raise HandshakeError(400, "BAD_HOST", "the request has no Host header, or one that is no host name")
    if allowed and host["name"].lower() not in allowed:
        raise HandshakeError(
            400, "BAD_HOST", "this host is not served; the setting PLAUDIT_GATEWAY__SOCKET__HOSTS names those that are"
        )
    return hosts[0]


def is_origin_allowed(origins: list[str], host: str, allowed: Iterable[str]) -> bool:
    """Whether a page of these Origin headers may connect. A request without one is not from a page; `null` is
    refused."""
    allowed = {item.lower() for item in allowed}
    if not origins or "*" in allowed:
        return True
    if len(origins) > 1:
        return False
    if allowed:
        return origins[0].lower() in allowed
    origin, own = _ORIGIN.fullmatch(origins[0]), _HOST.fullmatch(host)
    if origin is None or own is None:
        return False
    default = _PORTS[origin["scheme"].lower()]
    return _authority(origin, default) == _authority(own, default)


def refusal(refuse: Refuse) -> bytes:
    """The answer to a refused request: a google.rpc.Status with an ErrorInfo, as JSON."""
    code, status = _CODES.get(refuse.status, (2, "UNKNOWN"))
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refuse.reason, "domain": "plaudit"}
    body = json.dumps({"code": code, "message": refuse.message, "status": status, "details": [info]}).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    return response_head(f"{refuse.status} {HTTPStatus(refuse.status).phrase}", {**fields, **refuse.headers}) + body


def response_head(status: str, fields: Mapping[str, str]) -> bytes:
    """The head of an answer, with its last empty line."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def wants_websocket(headers: CIMultiDict[str] | Headers) -> bool:
    """Whether the client wants the connection to become a WebSocket."""
    return "websocket" in items_of(headers, "upgrade") and "upgrade" in items_of(headers, "connection")


def list_of(headers: CIMultiDict[str] | Headers, name: str) -> list[str]:
    """The items of a header field that is a list separated by commas."""
    return [item.strip(" \t") for value in headers.getall(name, []) for item in value.split(",")]


def items_of(headers: CIMultiDict[str] | Headers, name: str) -> list[str]:
    """The same in lower case."""
    return [item.lower() for item in list_of(headers, name)]


def _authority(match: re.Match[str], default_port: int) -> tuple[str, int]:
    return match["name"].lower(), int(match["port"] or default_port)
