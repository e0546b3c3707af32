"""The handshake on the wire: which requests get a WebSocket, which HTTP, and the exact answer to all others."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from gateway.echo import Echo
from gateway.http.head import Refuse
from gateway.limits import SocketLimits
from gateway.listener.head_protocol import Acceptor
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept, Handshake, choose_subprotocol

GOOD = {
    "Host": "chat.example:8080",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SUPPORTED = ("plaudit.v1.json", "plaudit.v1.proto")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        return str(json.loads(self.body)["details"][0]["reason"])


@dataclass
class Port:
    """A listening port, and the handshakes that `accept` decided about."""

    number: int
    handshakes: list[Handshake] = field(default_factory=list)

    async def ask(self, request: bytes, *, is_reused: bool = False) -> Answer:
        """Sends a request and returns the answer; an error's answer must be followed by the end.

        `is_reused`: on a connection that has carried another request before.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        if is_reused:
            writer.write(plain())
            assert (await read_answer(reader)).status == 200
        writer.write(request)
        answer = await read_answer(reader)
        if answer.headers.get("connection") == "close":
            assert await reader.read() == b""
        writer.close()
        return answer


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)


def request(
    target: str = "/ws/connect", *more: str, method: str = "GET", version: str = "HTTP/1.1", **changes: str | None
) -> bytes:
    """A good handshake with some fields changed, left out (None) or added (`more`)."""
    fields = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {target} {version}", *lines, *more, "", ""]).encode("latin-1")


def plain(target: str = "/healthz", *more: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: chat.example:8080", *more, "", ""]).encode()


async def show_headers(http_request: web.Request) -> web.Response:
    return web.json_response([name.lower() for name in http_request.headers])


@asynccontextmanager
async def open_port(limits: SocketLimits | None = None, accept: Acceptor | None = None) -> AsyncIterator[Port]:
    port = Port(0)

    def accept_supported(handshake: Handshake) -> Accept | Refuse:
        port.handshakes.append(handshake)
        chosen = choose_subprotocol(handshake.subprotocols, SUPPORTED)
        if chosen is None and handshake.subprotocols:
            return Refuse(400, "NO_SUBPROTOCOL", "none of the subprotocols is spoken here")
        return Accept(chosen, Echo)

    app = web.Application()
    app.router.add_get("/healthz", show_headers)
    limits = limits or SocketLimits(close_timeout=1)
    async with (
        asyncio.timeout(10),
        listening("127.0.0.1", 0, accept=accept or accept_supported, app=app, limits=limits) as listener,
    ):
        port.number = listener.port
        yield port


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
async def test_a_good_handshake_opens_the_socket(
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
async def test_a_bad_handshake_is_refused(
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
async def test_a_list_of_hosts_keeps_rebound_names_out(host: str, status: int) -> None:
    async with open_port(SocketLimits(hosts=frozenset({"chat.example"}))) as port:
        assert (await port.ask(request(Host=host))).status == status


async def test_accept_sees_the_request_without_internal_headers() -> None:
    async with open_port() as port:
        await port.ask(request("/ws/connect?v=2", "Plaudit-User: u1", "X-PLAUDIT-Tenant: t", "Authorization: Bearer t"))
    (handshake,) = port.handshakes
    assert (handshake.path, handshake.query, handshake.peer[0]) == ("/ws/connect", "v=2", "127.0.0.1")
    assert handshake.headers["authorization"] == "Bearer t"
    assert not [name for name in handshake.headers if "plaudit" in name]


async def test_http_goes_to_the_application_without_internal_headers_on_every_request() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for _ in range(2):
            writer.write(plain("/healthz", "plaudit-user: u1", "X-Plaudit-Tenant: t", "Accept: */*"))
            answer = await read_answer(reader)
            assert (answer.status, json.loads(answer.body)) == (200, ["host", "accept"])
        writer.close()


async def test_http_requests_may_be_pipelined_after_the_first() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(plain() + plain())
        assert [(await read_answer(reader)).status for _ in range(2)] == [200, 200]
        writer.close()


async def test_a_head_may_arrive_byte_by_byte() -> None:
    async with open_port() as port:
        for data, status in ((request(), 101), (plain(), 200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await asyncio.sleep(0)
            assert (await read_answer(reader)).status == status
            writer.close()


async def test_frames_may_come_with_the_request() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(request() + b"\x81\x82\x00\x00\x00\x00hi")
        assert (await read_answer(reader)).status == 101
        assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()


@pytest.mark.parametrize("before", [1, 3])
async def test_a_connection_that_has_carried_requests_becomes_a_socket(before: int) -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for _ in range(before):
            writer.write(plain())
            assert (await read_answer(reader)).status == 200
        writer.write(request())
        assert (await read_answer(reader)).status == 101
        for _ in range(3):
            writer.write(b"\x81\x82\x00\x00\x00\x00hi")
            assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()


async def test_slow_headers_get_408_and_a_close() -> None:
    async with open_port(SocketLimits(head_timeout=0.05)) as port:
        answer = await port.ask(b"GET /ws/connect HTTP/1.1\r\nHost: a\r\n")
    assert (answer.status, answer.reason) == (408, "HEAD_TOO_SLOW")


async def test_silence_gets_408_and_a_close() -> None:
    async with open_port(SocketLimits(head_timeout=0.05)) as port:
        assert (await port.ask(b"")).status == 408


async def test_the_idle_connections_of_an_address_are_limited() -> None:
    async with open_port(SocketLimits(idle_per_address=2)) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(2)]
        answer = await port.ask(request())
        assert (answer.status, answer.reason, answer.headers["retry-after"]) == (429, "TOO_MANY_IDLE", "1")
        for reader, writer in idle:
            writer.write(request())
            assert (await read_answer(reader)).status == 101  # Echo trusts its peer: no longer idle
        assert (await port.ask(request())).status == 101
        for _, writer in idle:
            writer.close()


async def test_a_full_server_refuses_with_503() -> None:
    async with open_port(SocketLimits(connections=1)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port.number)
        answer = await port.ask(request())
        assert (answer.status, answer.reason) == (503, "NO_ROOM")
        writer.close()


def fail(handshake: Handshake) -> Accept:
    raise RuntimeError("broken")


def choose_another(handshake: Handshake) -> Accept:
    return Accept("not-offered", Echo)


def refuse_unauthenticated(handshake: Handshake) -> Refuse:
    return Refuse(401, "UNAUTHENTICATED", "the token is not valid", {"WWW-Authenticate": "Bearer"})


VERDICTS: list[tuple[Callable[[Handshake], Any], int, str]] = [
    (fail, 500, "INTERNAL"),
    (choose_another, 500, "INTERNAL"),
    (refuse_unauthenticated, 401, "UNAUTHENTICATED"),
]


@pytest.mark.parametrize(("accept", "status", "reason"), VERDICTS)
async def test_the_decision_of_accept_is_the_answer(accept: Acceptor, status: int, reason: str) -> None:
    async with open_port(accept=accept) as port:
        answer = await port.ask(request())
    assert (answer.status, answer.reason) == (status, reason)
    assert set(json.loads(answer.body)) == {"code", "message", "status", "details"}


async def test_without_an_application_other_paths_are_404() -> None:
    async with listening("127.0.0.1", 0, accept=fail) as listener:
        assert (await Port(listener.port).ask(plain())).status == 404
