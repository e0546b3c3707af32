"""The handshake on the wire: which requests get a WebSocket, which HTTP, and the exact answer to all others."""

from __future__ import annotations

import pytest

from gateway.limits import SocketLimits
from tests.wire.sockets.handshakes import open_port, plain, request

OPENED = [
    ("the plain handshake", request(), None),
    ("names in any case", request(Upgrade="WebSocket", Connection="keep-alive, UPGRADE"), None),
    ("a list of upgrades", request(Upgrade="h2c, websocket"), None),
    ("the first supported subprotocol", request(Sec_WebSocket_Protocol="x, plaudit.v1.proto"), "plaudit.v1.proto"),
    ("the client's order", request(Sec_WebSocket_Protocol="plaudit.v1.json, plaudit.v1.proto"), "plaudit.v1.json"),
    (
        "a bearer item beside the subprotocol",
        request(Sec_WebSocket_Protocol="plaudit.v1.json, bearer.eyJ.eyJ.sig-_"),
        "plaudit.v1.json",
    ),
    (
        "two subprotocol fields",
        request("/ws/connect", "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: plaudit.v1.json"),
        "plaudit.v1.json",
    ),
    ("the Origin of the Host", request(Origin="http://chat.example:8080"), None),
    ("the Origin of the Host in capitals", request(Origin="HTTP://Chat.Example:8080"), None),
    ("https without ports", request(Host="chat.example", Origin="https://chat.example"), None),
    ("https with its port", request(Host="chat.example:443", Origin="https://chat.example"), None),
    ("an IPv6 Origin", request(Host="[::1]:8080", Origin="http://[::1]:8080"), None),
    ("a target that names the host", request("http://chat.example:8080/ws/connect"), None),
    ("a target with the scheme of WebSockets", request("WS://chat.example:8080/ws/connect"), None),
    (
        "the Origin of the host in the target",
        request("http://chat.example:8080/ws/connect", Host="x", Origin="http://chat.example:8080"),
        None,
    ),
    ("a body of no bytes", request("/ws/connect", "Content-Length: 0"), None),
    ("a harmless query", request("/ws/connect?v=2&device=phone"), None),
    ("an offer of compression", request(Sec_WebSocket_Extensions="permessage-deflate"), None),
]


@pytest.mark.parametrize("is_reused", [False, True], ids=["new", "reused"])
@pytest.mark.parametrize(("name", "data", "subprotocol"), OPENED, ids=[row[0] for row in OPENED])
async def test_a_valid_handshake_opens_the_socket(
    name: str, data: bytes, subprotocol: str | None, is_reused: bool
) -> None:
    async with open_port() as port:
        answer = await port.ask(data, is_reused=is_reused)
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.headers.get("sec-websocket-protocol") == subprotocol
    assert "sec-websocket-extensions" not in answer.headers


VERSION = {"sec-websocket-version": "13"}
UPGRADE = {"upgrade": "websocket"}
REFUSED: list[tuple[str, bytes, int, str, dict[str, str]]] = [
    ("no Upgrade", request(Upgrade=None), 426, "UPGRADE_REQUIRED", UPGRADE),
    ("another Upgrade", request(Upgrade="h2c"), 426, "UPGRADE_REQUIRED", UPGRADE),
    ("no Connection", request(Connection=None), 426, "UPGRADE_REQUIRED", UPGRADE),
    ("another Connection", request(Connection="keep-alive"), 426, "UPGRADE_REQUIRED", UPGRADE),
    ("HTTP/1.0", request(version="HTTP/1.0"), 426, "UPGRADE_REQUIRED", UPGRADE),
    ("a POST", request(method="POST", Content_Length="0"), 405, "BAD_METHOD", {"allow": "GET"}),
    ("an old version", request(Sec_WebSocket_Version="8"), 426, "BAD_WEBSOCKET_VERSION", VERSION),
    ("a later version", request(Sec_WebSocket_Version="14"), 426, "BAD_WEBSOCKET_VERSION", VERSION),
    ("no version", request(Sec_WebSocket_Version=None), 426, "BAD_WEBSOCKET_VERSION", VERSION),
    ("two versions", request("/ws/connect", "Sec-WebSocket-Version: 8"), 426, "BAD_WEBSOCKET_VERSION", VERSION),
    ("no key", request(Sec_WebSocket_Key=None), 400, "BAD_WEBSOCKET_KEY", {}),
    ("an empty key", request(Sec_WebSocket_Key=""), 400, "BAD_WEBSOCKET_KEY", {}),
    ("a short key", request(Sec_WebSocket_Key="c2hvcnQ="), 400, "BAD_WEBSOCKET_KEY", {}),
    ("a long key", request(Sec_WebSocket_Key="dGhpcyBrZXkgaXMgdG9vIGxvbmc="), 400, "BAD_WEBSOCKET_KEY", {}),
    ("a key that is not base64", request(Sec_WebSocket_Key="!" * 24), 400, "BAD_WEBSOCKET_KEY", {}),
    ("a key that is not ASCII", request(Sec_WebSocket_Key="é" * 24), 400, "BAD_WEBSOCKET_KEY", {}),
    ("two keys", request("/ws/connect", f"Sec-WebSocket-Key: {'A' * 22}=="), 400, "BAD_WEBSOCKET_KEY", {}),
    ("a foreign Origin", request(Origin="http://evil.example"), 403, "BAD_ORIGIN", {}),
    ("Origin null", request(Origin="null"), 403, "BAD_ORIGIN", {}),
    ("an empty Origin", request(Origin=""), 403, "BAD_ORIGIN", {}),
    ("another port", request(Origin="http://chat.example:8081"), 403, "BAD_ORIGIN", {}),
    ("no port", request(Origin="http://chat.example"), 403, "BAD_ORIGIN", {}),
    ("a look-alike suffix", request(Origin="http://chat.example:8080.evil.example"), 403, "BAD_ORIGIN", {}),
    ("a look-alike domain", request(Origin="http://chat.example.evil.example:8080"), 403, "BAD_ORIGIN", {}),
    ("a look-alike prefix", request(Origin="http://evilchat.example:8080"), 403, "BAD_ORIGIN", {}),
    ("a look-alike user", request(Origin="http://chat.example:8080@evil.example"), 403, "BAD_ORIGIN", {}),
    ("a trailing dot", request(Origin="http://chat.example.:8080"), 403, "BAD_ORIGIN", {}),
    ("an Origin with a path", request(Origin="http://chat.example:8080/"), 403, "BAD_ORIGIN", {}),
    ("a Cyrillic look-alike", request(Origin="http://ch\xe0t.example:8080"), 403, "BAD_ORIGIN", {}),
    ("a file's Origin", request(Origin="file://"), 403, "BAD_ORIGIN", {}),
    ("an extension's Origin", request(Origin="chrome-extension://chat.example:8080"), 403, "BAD_ORIGIN", {}),
    (
        "two Origins",
        request("/ws/connect", "Origin: http://evil.example", Origin="http://chat.example:8080"),
        403,
        "BAD_ORIGIN",
        {},
    ),
    (
        "the Origin of a Host that is ignored",
        request("http://localhost/ws/connect", Host="evil.example", Origin="http://evil.example"),
        403,
        "BAD_ORIGIN",
        {},
    ),
    ("a body", request("/ws/connect", "Content-Length: 2") + b"\x81\x00", 400, "HANDSHAKE_WITH_BODY", {}),
    (
        "a body in chunks",
        request("/ws/connect", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        400,
        "HANDSHAKE_WITH_BODY",
        {},
    ),
    ("a subprotocol unknown here", request(Sec_WebSocket_Protocol="chat"), 400, "NO_SUBPROTOCOL", {}),
    ("a malformed subprotocol", request(Sec_WebSocket_Protocol="a b"), 400, "BAD_SUBPROTOCOL", {}),
    ("an empty subprotocol", request(Sec_WebSocket_Protocol="a,,b"), 400, "BAD_SUBPROTOCOL", {}),
    ("a subprotocol twice", request(Sec_WebSocket_Protocol="a, a"), 400, "BAD_SUBPROTOCOL", {}),
    ("a token in the query", request("/ws/connect?token=x"), 400, "TOKEN_IN_URL", {}),
    ("an access token in the query", request("/ws/connect?v=1&access_token=x"), 400, "TOKEN_IN_URL", {}),
    ("a token in capitals", request("/ws/connect?JWT=x"), 400, "TOKEN_IN_URL", {}),
    ("an encoded token", request("/ws/connect?%74oken=x"), 400, "TOKEN_IN_URL", {}),
    ("an empty token", request("/ws/connect?token="), 400, "TOKEN_IN_URL", {}),
    ("no Host", request(Host=None), 400, "BAD_HOST", {}),
    ("two Hosts", request("/ws/connect", "Host: evil.example"), 400, "BAD_HOST", {}),
    ("a Host with a path", request(Host="chat.example/x"), 400, "BAD_HOST", {}),
    ("a Host with a user", request(Host="user@chat.example"), 400, "BAD_HOST", {}),
    ("an empty Host", request(Host=""), 400, "BAD_HOST", {}),
    ("another scheme", request("ftp://chat.example/ws/connect"), 400, "BAD_REQUEST_LINE", {}),
    ("no request line", b"\r\n\r\n", 400, "BAD_REQUEST_LINE", {}),
    ("half a request line", b"GET /ws/connect\r\n\r\n", 400, "BAD_REQUEST_LINE", {}),
    ("a space in the path", request("/ws/con nect"), 400, "BAD_REQUEST_LINE", {}),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "BAD_VERSION", {}),
    ("a field without a colon", request("/ws/connect", "nonsense"), 400, "BAD_HEADER", {}),
    ("a folded field", request("/ws/connect", "X: a", " folded"), 400, "BAD_HEADER", {}),
    ("a space before the colon", request("/ws/connect", "Origin : http://a"), 400, "BAD_HEADER", {}),
    ("NUL in a field", request("/ws/connect", "X: a\x00b"), 400, "BAD_HEADER", {}),
    ("a bare line feed in a field", request("/ws/connect", "X: a\nOrigin: null"), 400, "BAD_HEADER", {}),
    ("65 fields", request("/ws/connect", *(f"X-{n}: x" for n in range(60))), 431, "TOO_MANY_FIELDS", {}),
    ("9 KiB of fields", request("/ws/connect", *(f"X-{n}: {'x' * 500}" for n in range(18))), 431, "HEAD_TOO_LARGE", {}),
    ("a head without an end", b"GET /" + b"x" * 8192, 431, "HEAD_TOO_LARGE", {}),
    ("the same for HTTP", plain("/healthz?" + "x" * 8192), 431, "HEAD_TOO_LARGE", {}),
]
# Invalid or too large HTTP on a connection in use has another message.
OF_A_HANDSHAKE = {
    "UPGRADE_REQUIRED", "BAD_METHOD", "BAD_WEBSOCKET_VERSION", "BAD_WEBSOCKET_KEY", "BAD_ORIGIN", "NO_SUBPROTOCOL",
    "BAD_SUBPROTOCOL", "TOKEN_IN_URL", "HANDSHAKE_WITH_BODY",
}  # fmt: skip
ASKED = [(*row, False) for row in REFUSED] + [(*row, True) for row in REFUSED if row[3] in OF_A_HANDSHAKE]


@pytest.mark.parametrize(
    ("name", "data", "status", "reason", "fields", "is_reused"),
    ASKED,
    ids=[f"{row[0]}{' reused' * row[5]}" for row in ASKED],
)
async def test_an_invalid_handshake_is_refused(
    name: str, data: bytes, status: int, reason: str, fields: dict[str, str], is_reused: bool
) -> None:
    async with open_port() as port:
        answer = await port.ask(data, is_reused=is_reused)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.headers["content-type"] == "application/json"
    assert fields.items() <= answer.headers.items()


ORIGINS = [
    ("https://chat.example", 101),
    ("HTTPS://CHAT.EXAMPLE", 101),
    ("http://chat.example", 403),
    ("http://chat.example:8080", 403),
    ("https://chat.example.evil.example", 403),
    ("null", 403),
]


@pytest.mark.parametrize(("origin", "status"), ORIGINS)
async def test_a_list_of_origins_replaces_the_hosts_own(origin: str, status: int) -> None:
    async with open_port(SocketLimits(origins=frozenset({"https://chat.example"}))) as port:
        assert (await port.ask(request(Origin=origin))).status == status


@pytest.mark.parametrize(("host", "status"), [("chat.example", 101), ("CHAT.example:9", 101), ("evil.example", 400)])
async def test_a_list_of_hosts_refuses_rebound_names(host: str, status: int) -> None:
    async with open_port(SocketLimits(hosts=frozenset({"chat.example"}))) as port:
        assert (await port.ask(request(Host=host))).status == status


async def test_accept_gets_the_request_without_internal_headers() -> None:
    async with open_port() as port:
        await port.ask(request("/ws/connect?v=2", "Plaudit-User: u1", "X-PLAUDIT-Tenant: t", "Authorization: Bearer t"))
    (handshake,) = port.handshakes
    assert (handshake.path, handshake.query, handshake.peer[0]) == ("/ws/connect", "v=2", "127.0.0.1")
    assert handshake.headers["authorization"] == "Bearer t"
    assert not [name for name in handshake.headers if "plaudit" in name]
