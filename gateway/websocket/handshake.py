"""The opening handshake of RFC 6455, section 4: checks a request, and writes the answer that opens the socket."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha1
from urllib.parse import parse_qsl

from gateway.http.head import FOREIGN, TOKEN, HandshakeError, Head, Headers, is_origin_allowed, list_of, response_head
from gateway.limits import SocketLimits
from gateway.websocket.socket import Peer, SocketHandler

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# URLs are written to logs, histories and Referer headers: none of these may be in one.
_SECRETS = frozenset({"token", "access_token", "id_token", "auth_token", "auth", "authorization", "bearer", "jwt"})


@dataclass(frozen=True, slots=True)
class Handshake:
    """A well-formed request for a WebSocket, from an Origin that may connect."""

    path: str
    query: str
    headers: Headers
    peer: Peer
    subprotocols: tuple[str, ...]
    """What the client offers, in its order; browsers put `bearer.<token>` among them."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Opens the socket; the subprotocol is one of those offered, or None."""

    subprotocol: str | None
    handler_factory: Callable[[], SocketHandler]


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
    lengths = list_of(head.headers, "content-length")
    if "transfer-encoding" in head.headers or any(set(length) != {"0"} for length in lengths):
        raise HandshakeError(
            400, "HANDSHAKE_WITH_BODY", "a handshake has no body: the frames begin where its head ends"
        )
    if not is_origin_allowed(head.headers.getall("origin", []), head.host, limits.origins):
        raise HandshakeError(403, "BAD_ORIGIN", FOREIGN)
    if any(name.lower() in _SECRETS for name, _ in parse_qsl(head.query, keep_blank_values=True)):
        raise HandshakeError(
            400, "TOKEN_IN_URL", "a token belongs in the Authorization header or in a subprotocol item"
        )
    offered = tuple(list_of(head.headers, "sec-websocket-protocol"))
    if len(set(offered)) != len(offered) or not all(TOKEN.fullmatch(item) for item in offered):
        raise HandshakeError(400, "BAD_SUBPROTOCOL", "the offered subprotocols are malformed")
    return Handshake(head.path, head.query, head.headers, peer, offered)


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
    return response_head("101 Switching Protocols", fields)


def _check_key(keys: list[str]) -> None:
    try:
        valid = len(keys) == 1 and len(b64decode(keys[0], validate=True)) == 16
    except (Base64Error, ValueError):
        valid = False
    if not valid:
        raise HandshakeError(400, "BAD_WEBSOCKET_KEY", "Sec-WebSocket-Key is 16 bytes in base64")
