"""What is no request of HTTP, or not one of ours: each gets a typed error or a clean close, and one line in the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY

import pytest
import pytest_asyncio
from yarl import URL

from gateway.config import Config
from gateway.limits import SocketLimits
from tests.wire.gatewayrig import TIMEOUT, Rig, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: x\r\n"
CLOSE = b"Connection: close"
TOKEN = b"sesame-open"
SERVED = b'{"status":"ok"}'
FIRST = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest_asyncio.fixture(name="rig", scope="module", loop_scope="module")
async def fixture_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("hygiene")
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("hello")
    config = Config(web=folder / "web", socket=SocketLimits(close_timeout=0.2))
    async with running(folder, config=config) as rig:
        yield rig


async def said(rig: Rig, data: bytes, *, is_first: bool = True) -> bytes:
    """What is answered until the server ends the connection; the client's side stays open.

    Not first: the connection has carried a request before.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
    try:
        if not is_first:
            writer.write(FIRST)
            assert await asyncio.wait_for(reader.readuntil(SERVED), TIMEOUT)
        writer.write(data)
        return await asyncio.wait_for(reader.read(), TIMEOUT)
    finally:
        writer.close()
        await until(lambda: not rig.gateway.listener.connections)


def post(*fields: str, body: bytes = b"", version: str = "1.1") -> bytes:
    head = f"POST /api/v1/reactions HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head.encode() + "".join(f"{field}\r\n" for field in fields).encode("latin-1") + b"\r\n" + body


def get(*fields: bytes, line: bytes = b"GET /healthz HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    return end.join([line, b"Host: x", *fields, b"", b""])


REFUSED: dict[str, tuple[bytes, int]] = {
    "a signed length": (post("Content-Length: +0"), 400),
    "an empty length": (post("Content-Length:"), 400),
    "a length of letters": (post("Content-Length: many"), 400),
    "two lengths": (post("Content-Length: 1", "Content-Length: 2", body=b"ab"), 400),
    "a length and chunks": (post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "an encoding that is not chunked": (post("Transfer-Encoding: gzip"), 400),
    "a coding before chunked": (post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n" + FIRST), 501),
    "a bad chunk": (post("Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
    "a chunk that is longer than it says": (post("Transfer-Encoding: chunked", body=b"1\r\nabc\r\n0\r\n\r\n"), 400),
    "HTTP/1.0 with chunks": (post("Transfer-Encoding: chunked", body=b"0\r\n\r\n" + FIRST, version="1.0"), 400),
    "HTTP/1.0 with chunks that stays": (
        post("Transfer-Encoding: chunked", "Connection: keep-alive", body=b"0\r\n\r\n" + FIRST, version="1.0"),
        400,
    ),
    "a method that is no token": (get(line=b"G@T /api/x HTTP/1.1"), 400),
    "a method nobody knows": (get(line=b"FOO /api/x HTTP/1.1"), 501),
    "a tunnel": (get(line=b"CONNECT example.com:443 HTTP/1.1"), 501),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "half of HTTP/0.9": (b"GET /\r\n", 400),
    "a hello of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "bare line feeds": (get(end=b"\n"), 400),
    "a line folded": (get(b"A: b", b" c"), 400),
    "a NUL": (get(b"A: b\0c"), 400),
    "a space before the colon": (get(b"A : b"), 400),
    "a control character in the token": (get(b"Authorization: Bearer " + TOKEN + b"\x07"), 400),
    "no colon": (get(b"A"), 400),
    "a hundred fields": (get(*[b"A: b"] * 100), 431),
    "a long line": (get(line=b"GET /api/x?" + b"a" * 200_000 + b" HTTP/1.1"), 431),
    "a long field": (get(b"A: " + b"b" * 200_000), 431),
    "no Host": (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "a target that is no URL": (get(line=b"GET http://[::1 HTTP/1.1"), 400),
    "another scheme": (get(CLOSE, line=b"GET ftp://x/healthz HTTP/1.1"), 400),
    "a scheme of WebSockets": (get(CLOSE, line=b"GET ws://x/healthz HTTP/1.1"), 400),
    "the Origin of a Host that is ignored": (
        get(CLOSE, b"Origin: http://x", line=b"GET http://y/healthz HTTP/1.1"),
        403,
    ),
    "a Host in the target with a user": (get(CLOSE, line=b"GET http://a@x/healthz HTTP/1.1"), 400),
    "an unknown path": (get(CLOSE, line=b"GET /api/nothing HTTP/1.1"), 404),
    "a path from nowhere": (get(line=b"GET foo HTTP/1.1"), 400),
    "a bad escape": (get(CLOSE, line=b"GET /api/messages/4/reactions/%ff/users HTTP/1.1"), 400),
    "two slashes": (get(CLOSE, line=b"GET //healthz HTTP/1.1"), 404),
    "a slash behind": (get(CLOSE, line=b"GET /api/v1/reactions/counts/ HTTP/1.1"), 404),
    "dots in the path": (get(CLOSE, line=b"GET /api/../healthz HTTP/1.1"), 404),
    "a trace": (get(CLOSE, line=b"TRACE /api/v1/reactions/counts HTTP/1.1"), 405),
    "a method of others": (get(CLOSE, line=b"DELETE /healthz HTTP/1.1"), 405),
    "an expectation": (get(CLOSE, b"Expect: 200-ok"), 417),
}
# The parser of later requests calls these by other names.
LATER = {"the preface of HTTP/2": 400, "HTTP/0.9": 505, "a hello of TLS": 501, "a method that is no token": 501}
# It waits for more, at most for the time that a connection may be idle.
NOT_LATER = {"half of HTTP/0.9"}


def typed(answer: bytes) -> int:
    """The status of an answer that has our error model."""
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)
    assert error["details"][0]["reason"].isupper()
    assert error["details"][0]["domain"] == "plaudit"
    assert error["message"]
    assert b"application/json" in head
    return int(head.split()[1])


@pytest.mark.parametrize(
    ("name", "is_first"),
    [(name, is_first) for name in REFUSED for is_first in (True, False) if is_first or name not in NOT_LATER],
)
async def test_an_unserved_path_gets_a_typed_error(
    rig: Rig, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, name: str, is_first: bool
) -> None:
    data, status = REFUSED[name]
    if not is_first:
        status = LATER.get(name, status)
    answer = await said(rig, data, is_first=is_first)
    assert typed(answer) == status
    assert SERVED not in answer
    logged = capsys.readouterr().out + caplog.text
    assert "Traceback" not in logged
    for text in (answer.decode("latin-1"), logged):
        assert TOKEN.decode() not in text
    assert logged.count("request refused") <= 1
    # What closes the connection by itself has reached the routes.
    assert CLOSE in data or "request refused" in logged


async def test_a_body_that_breaks_in_its_middle_is_the_clients_fault(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
    fields = (f"Authorization: Bearer {rig.token()}", "Transfer-Encoding: chunked", "Expect: 100-continue")
    writer.write(post(*fields))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"zz\r\n")
    answer = await asyncio.wait_for(reader.read(), TIMEOUT)
    assert typed(answer) == 400
    writer.close()
    await until(lambda: not rig.gateway.listener.connections)
    logged = capsys.readouterr().out
    assert "Traceback" not in logged
    assert logged.count("request refused") == 1


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_a_head_may_arrive_in_pieces(rig: Rig, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
    writer.transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    for at in range(0, len(FIRST), size):
        writer.write(FIRST[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.readline(), TIMEOUT)).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    "target", ["http://x/healthz", "HTTP://x:80/healthz", "http://x/api/messages/1/reactions/a/users"]
)
async def test_a_target_may_name_the_host_as_proxies_write_it(rig: Rig, target: str) -> None:
    fields = [CLOSE, f"Authorization: Bearer {rig.token()}".encode()]
    for is_first in (True, False):
        answer = await said(rig, get(*fields, line=f"GET {target} HTTP/1.1".encode()), is_first=is_first)
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_chunks_may_have_trailers(rig: Rig) -> None:
    body = b'7\r\n{"targe\r\n19\r\nt":"posts/1","emoji":"a"}\r\n0\r\nX-Sum: 1\r\n\r\n'
    fields = (f"Authorization: Bearer {rig.token()}", "Transfer-Encoding: chunked", "Connection: close")
    assert (await said(rig, post(*fields, body=body))).startswith(b"HTTP/1.1 200 ")


PATHS = ("/healthz", "/readyz", "/metrics", "/", "/api/messages/1/reactions/a/users", "/api/v1/reactions/own?targets=a")


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_served_for_paths_with_get_and_options_lists_it(rig: Rig, path: str) -> None:
    fields = [CLOSE, f"Authorization: Bearer {rig.token()}".encode()]

    async def ask(verb: str) -> tuple[bytes, bytes]:
        answer = await said(rig, get(*fields, line=f"{verb} {path} HTTP/1.1".encode()))
        head, _, body = answer.partition(b"\r\n\r\n")
        return head, body

    whole, body = await ask("GET")
    head, nothing = await ask("HEAD")
    assert (whole.split()[1], head.split()[1], nothing) == (b"200", b"200", b"")
    if path != "/metrics":  # which grows from one request to the next
        assert f"Content-Length: {len(body)}".encode() in head
    options, nothing = await ask("OPTIONS")
    assert (options.split()[1], nothing) == (b"204", b"")
    allow = options.split(b"Allow: ")[1].split(b"\r\n")[0].decode().split(", ")
    assert {"GET", "HEAD", "OPTIONS"} <= set(allow)
    assert (await ask("PATCH"))[0].split()[1] == b"405"


@pytest.mark.parametrize("target", [b"*", b"http://x"])
async def test_an_options_request_for_the_server_returns_all_methods(rig: Rig, target: bytes) -> None:
    for is_first in (True, False):
        answer = await said(rig, get(CLOSE, line=b"OPTIONS " + target + b" HTTP/1.1"), is_first=is_first)
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" in answer


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_line_of_a_chunk_has_a_limit(rig: Rig, is_first: bool) -> None:
    body = b'{"target":"posts/1","emoji":"a"}'

    def chunked(extension: int, trailer: int) -> bytes:
        line = b"%x;" % len(body) + b"a" * extension
        return line + b"\r\n" + body + b"\r\n0\r\nX: " + b"a" * trailer + b"\r\n\r\n"

    async def ask(data: bytes) -> bytes:
        fields = (f"Authorization: Bearer {rig.token()}", "Transfer-Encoding: chunked", "Connection: close")
        return await said(rig, post(*fields, body=data), is_first=is_first)

    assert (await ask(chunked(1000, 1000))).startswith(b"HTTP/1.1 200 ")
    for data in (chunked(100_000, 1), chunked(1, 100_000), b"1;" + b"a" * 100_000):
        answer = await ask(data)
        assert typed(answer) == 400
        assert b"BAD_BODY" in answer


async def test_a_chunk_may_be_large(rig: Rig) -> None:
    body = b'{"target":"posts/1","emoji":"a"}' + b" " * 200_000
    fields = (f"Authorization: Bearer {rig.token()}", "Transfer-Encoding: chunked", "Connection: close")
    answer = await said(rig, post(*fields, body=b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 ")
