"""Who may open a WebSocket: the request head, RFC 6455 section 4, the Origin, and the answers (no I/O)."""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.httptarget import origin_form
from gateway.limits import SocketLimits

if TYPE_CHECKING:
    from gateway.socket import SocketHandler

Peer = tuple[str, int]
Headers = CIMultiDictProxy[str]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
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
# A URL ends in logs, histories and Referer headers: none of these may be in one.
_SECRETS = frozenset({"token", "access_token", "id_token", "auth_token", "auth", "authorization", "bearer", "jwt"})
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
    version: str
    headers: Headers

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def upgrades(self) -> bool:
        """Whether the client wants this connection to become a WebSocket."""
        return "websocket" in _items(self.headers, "upgrade") and "upgrade" in _items(self.headers, "connection")


@dataclass(frozen=True, slots=True)
class Handshake:
    """A well-formed request for a WebSocket, from an Origin that may connect."""

    path: str
    query: str
    headers: Headers
    peer: Peer
    subprotocols: tuple[str, ...]
    """What the client offers, in its order; a browser's `bearer.<token>` is among them."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Opens the socket; the subprotocol is one of those offered, or None."""

    subprotocol: str | None
    handler_factory: "Callable[[], SocketHandler]"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answers the request with an error; `reason` is for programs, in UPPER_SNAKE_CASE, `message` for people."""

    status: int
    reason: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class HandshakeError(Exception):
    """Carries a `Refuse` out of a check."""

    def __init__(self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.answer = Refuse(status, reason, message, headers or {})


def is_internal(name: str) -> bool:
    """Whether a header field is ours alone, so that a client's is dropped."""
    return name.lower().startswith(_INTERNAL)


def parse_head(data: bytes, limits: SocketLimits) -> Head:
    """Parses a complete request head, without its last empty line. Raises `HandshakeError` with 400, 431 or 505."""
    first, *lines = data.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target) and _VERSION.fullmatch(version)):
        raise HandshakeError(400, "BAD_REQUEST_LINE", NOT_HTTP)
    if not version.startswith("HTTP/1."):
        raise HandshakeError(505, "BAD_VERSION", "only HTTP/1.1 is spoken here")
    target, authority = origin_form(target)
    if len(lines) > limits.head_fields:
        raise HandshakeError(431, "TOO_MANY_FIELDS", f"a request has at most {limits.head_fields} header fields")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
            raise HandshakeError(400, "BAD_HEADER", "a header field is malformed")
        if not is_internal(name):
            headers.add(name.lower(), value.strip(" \t"))
    check_host(version, headers.getall("host", []) if authority is None else [authority], limits.hosts)
    return Head(method, target, version, CIMultiDictProxy(headers))


def check_beginning(data: bytes | bytearray) -> bool:
    """Whether the first line is complete. Raises `HandshakeError` with 400 for what can never become a head.

    TLS, HTTP/0.9 and lines that end without a carriage return have no end that `parse_head` could wait for.
    """
    line, end, _ = data.partition(b"\n")
    if end and not line.endswith(b"\r"):
        raise HandshakeError(400, "BAD_REQUEST_LINE", "lines of a head end with CR LF")
    if line.startswith(b"\x16\x03"):
        raise HandshakeError(400, "BAD_REQUEST_LINE", "this port speaks HTTP without TLS")
    words = line.rstrip(b"\r").decode("latin-1").split(" ")
    method_wrong = _TOKEN.fullmatch(words[0]) is None and (end or words[0] != "")
    if method_wrong or (end and len(words) != 3):
        raise HandshakeError(400, "BAD_REQUEST_LINE", NOT_HTTP)
    return bool(end)


def check_upgrade(head: Head, peer: Peer, limits: SocketLimits) -> Handshake:
    """Checks a request on the WebSocket path. Raises `HandshakeError`."""
    if head.method != "GET":
        raise HandshakeError(405, "BAD_METHOD", "a WebSocket is opened with GET", {"Allow": "GET"})
    if not head.upgrades or head.version != "HTTP/1.1":
        raise HandshakeError(
            426, "UPGRADE_REQUIRED", "this path speaks WebSocket only: Upgrade: websocket", {"Upgrade": "websocket"}
        )
    if head.headers.getall("sec-websocket-version", []) != ["13"]:
        raise HandshakeError(426, "BAD_WEBSOCKET_VERSION", "the version is 13", {"Sec-WebSocket-Version": "13"})
    _check_key(head.headers.getall("sec-websocket-key", []))
    if not is_origin_allowed(head.headers.getall("origin", []), head.headers.get("host", ""), limits.origins):
        raise HandshakeError(403, "BAD_ORIGIN", FOREIGN)
    if any(name.lower() in _SECRETS for name, _ in parse_qsl(head.query, keep_blank_values=True)):
        raise HandshakeError(
            400, "TOKEN_IN_URL", "a token belongs in the Authorization header or in a subprotocol item"
        )
    offered = tuple(_list(head.headers, "sec-websocket-protocol"))
    if len(set(offered)) != len(offered) or not all(_TOKEN.fullmatch(item) for item in offered):
        raise HandshakeError(400, "BAD_SUBPROTOCOL", "the offered subprotocols are malformed")
    return Handshake(head.path, head.query, head.headers, peer, offered)


def is_origin_allowed(origins: list[str], host: str, allowed: Iterable[str]) -> bool:
    """Whether a page may connect. No Origin at all is not a page; `null` never has an origin of its own."""
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


def choose_subprotocol(offered: Iterable[str], supported: Iterable[str]) -> str | None:
    """The client's first offer that is supported, for `accept` to use."""
    return next((item for item in offered if item in supported), None)


def switching_protocols(head: Headers, subprotocol: str | None) -> bytes:
    """The answer that opens the WebSocket (section 4.2.2)."""
    key = head["sec-websocket-key"].encode("ascii")
    accepted = b64encode(sha1(key + _GUID).digest()).decode()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accepted}
    if subprotocol is not None:
        fields["Sec-WebSocket-Protocol"] = subprotocol
    return _head("101 Switching Protocols", fields)


def refusal(refuse: Refuse) -> bytes:
    """The answer to a refused request: a google.rpc.Status with an ErrorInfo, as JSON."""
    code, status = _CODES.get(refuse.status, (2, "UNKNOWN"))
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": refuse.reason, "domain": "plaudit"}
    body = json.dumps({"code": code, "message": refuse.message, "status": status, "details": [info]}).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    return _head(f"{refuse.status} {HTTPStatus(refuse.status).phrase}", {**fields, **refuse.headers}) + body


def _head(status: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _list(headers: Headers, name: str) -> list[str]:
    return [item.strip(" \t") for value in headers.getall(name, []) for item in value.split(",")]


def _items(headers: Headers, name: str) -> list[str]:
    return [item.lower() for item in _list(headers, name)]


def _authority(match: re.Match[str], default_port: int) -> tuple[str, int]:
    return match["name"].lower(), int(match["port"] or default_port)


def _check_key(keys: list[str]) -> None:
    try:
        valid = len(keys) == 1 and len(b64decode(keys[0], validate=True)) == 16
    except (Base64Error, ValueError):
        valid = False
    if not valid:
        raise HandshakeError(400, "BAD_WEBSOCKET_KEY", "Sec-WebSocket-Key is 16 bytes in base64")


def check_host(version: str, hosts: list[str], allowed: Iterable[str]) -> None:
    """Raises `HandshakeError` where a request is not for one of the hosts that are `allowed`; none: for any."""
    if not hosts and version == "HTTP/1.0":
        return
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        raise HandshakeError(400, "BAD_HOST", "the request has no Host header, or one that is no host name")
    if allowed and host["name"].lower() not in allowed:
        raise HandshakeError(
            400, "BAD_HOST", "this host is not served; the setting PLAUDIT_GATEWAY__SOCKET__HOSTS names those that are"
        )
