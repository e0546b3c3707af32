"""RFC 6455 on the wire, case by case: what a raw client sends, and the exact frames that come back."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
import uvloop

from gateway.echo import accept, echo_limits
from gateway.listener.listening import listening

LIMIT = 1 << 20
KEY = bytes((0x37, 0xFA, 0x21, 0x3D))
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CONT, TEXT, BIN, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
Frame = tuple[int, bytes]


@dataclass(frozen=True)
class Case:
    """Chunks to write one by one, and the answer; the client ends with close 1000 if `ends` is None."""

    name: str
    chunks: list[bytes]
    answers: list[Frame]
    ends: int | None = None


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes = KEY) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes(((0x80 if fin else 0) | rsv << 4 | opcode,)) + length + key + mask(payload, key)


def fragments(opcode: int, parts: Iterable[bytes], *, finish: bool = True) -> list[bytes]:
    parts = list(parts)
    last = len(parts) - 1
    return [frame(CONT if index else opcode, part, fin=finish and index == last) for index, part in enumerate(parts)]


def single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def sizes() -> Iterable[Case]:
    for size in (0, 1, 124, 125, 126, 127, 128, 1000, 65534, 65535, 65536, 65537, 200_000, LIMIT):
        yield Case(f"text of {size} bytes", [frame(TEXT, b"*" * size)], [(TEXT, b"*" * size)])
        yield Case(f"binary of {size} bytes", [frame(BIN, b"\xfe" * size)], [(BIN, b"\xfe" * size)])
    for size in (0, 1, 125, 126, 300):
        data = b"*" * size
        yield Case(f"text of {size} bytes, byte by byte", single_bytes(frame(TEXT, data)), [(TEXT, data)])
        yield Case(f"binary of {size} bytes, byte by byte", single_bytes(frame(BIN, data)), [(BIN, data)])
    for step in (997, 1448, 4096):
        data = bytes(range(256)) * 300
        whole = frame(BIN, data)
        chunks = [whole[at : at + step] for at in range(0, len(whole), step)]
        yield Case(f"76,800 bytes in pieces of {step}", chunks, [(BIN, data)])
    many = b"".join(frame(TEXT, b"%d" % number) for number in range(500))
    yield Case("500 messages at once", [many], [(TEXT, b"%d" % number) for number in range(500)])
    yield Case("a mask of zeros", [frame(TEXT, b"plain", key=bytes(4))], [(TEXT, b"plain")])


def pings() -> Iterable[Case]:
    for payload in (b"", b"hello", bytes(range(256))[:125], b"\x00\xff\xfe\xfd", b"x" * 125):
        name = f"a ping of {len(payload)} bytes {payload[:2].hex()}"
        yield Case(name, [frame(PING, payload)], [(PONG, payload)])
    yield Case("a ping, byte by byte", single_bytes(frame(PING, b"x" * 125)), [(PONG, b"x" * 125)])
    yield Case("a ping of 126 bytes", [frame(PING, b"x" * 126)], [], 1002)
    yield Case("a pong of 126 bytes", [frame(PONG, b"x" * 126)], [], 1002)
    yield Case("a close of 126 bytes", [close(1000, b"x" * 124)], [], 1002)
    yield Case("a pong nobody asked for", [frame(PONG, b"x"), frame(PING, b"y")], [(PONG, b"y")])
    yield Case("an empty pong nobody asked for", [frame(PONG), frame(TEXT, b"y")], [(TEXT, b"y")])
    ten = [frame(PING, b"%d" % number) for number in range(10)]
    answers = [(PONG, b"%d" % number) for number in range(10)]
    yield Case("ten pings", ten, answers)
    yield Case("ten pings at once", [b"".join(ten)], answers)
    yield Case("ten pings, byte by byte", single_bytes(b"".join(ten)), answers)
    for opcode, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        yield Case(f"a {name} in fragments", [frame(opcode, b"", fin=False), frame(CONT)], [], 1002)


def reserved() -> Iterable[Case]:
    for rsv in range(1, 8):
        yield Case(f"text with reserved bits {rsv}", [frame(TEXT, b"x", rsv=rsv)], [], 1002)
    for opcode, name in ((BIN, "binary"), (PING, "a ping"), (PONG, "a pong"), (CLOSE, "a close")):
        yield Case(f"{name} with a reserved bit", [frame(opcode, rsv=4)], [], 1002)
    late = frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=1)
    yield Case("a continuation with a reserved bit", [late], [], 1002)
    after = frame(TEXT, b"good") + frame(TEXT, b"bad", rsv=2) + frame(PING)
    yield Case("a good text, then reserved bits, then a ping", [after], [(TEXT, b"good")], 1002)
    yield Case("the same, byte by byte", single_bytes(after), [(TEXT, b"good")], 1002)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"opcode {opcode}", [frame(opcode)], [], 1002)
        after = frame(TEXT, b"good") + frame(opcode, b"bad") + frame(PING)
        yield Case(f"a good text, then opcode {opcode}", [after], [(TEXT, b"good")], 1002)
    for opcode, name in ((TEXT, "text"), (BIN, "binary"), (PING, "ping"), (CLOSE, "close")):
        yield Case(f"an unmasked {name}", [bytes((0x80 | opcode, 0))], [], 1002)
    good = frame(TEXT, b"good")
    yield Case("a good text, then an unmasked one", [good + b"\x81\x01x"], [(TEXT, b"good")], 1002)


def lengths() -> Iterable[Case]:
    yield Case("a length with the high bit", [b"\x82\xff" + b"\x80" + bytes(7)], [], 1002)
    yield Case("the largest length there is", [b"\x82\xff" + b"\xff" * 8], [], 1002)
    yield Case("16 bits for a small length", [b"\x82\xfe\x00\x05" + KEY + mask(b"12345")], [], 1002)
    yield Case("64 bits for a small length", [b"\x82\xff" + (5).to_bytes(8, "big") + KEY + mask(b"12345")], [], 1002)
    yield Case("64 bits for 65,535", [b"\x82\xff" + (65535).to_bytes(8, "big") + KEY], [], 1002)
    for size, name in ((LIMIT + 1, "one byte over the limit"), (1 << 40, "a terabyte"), (2**63 - 1, "8 exabytes")):
        yield Case(f"{name}, declared only", [b"\x82\xff" + size.to_bytes(8, "big") + KEY], [], 1009)
    good = frame(TEXT, b"good")
    over = b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big") + KEY
    yield Case("a good text, then one over the limit", [good + over], [(TEXT, b"good")], 1009)
    half = b"x" * (LIMIT // 2)
    yield Case("fragments of the limit", fragments(BIN, [half, half]), [(BIN, half * 2)])
    yield Case("fragments over the limit", fragments(BIN, [half, half, b"x"], finish=False), [], 1009)


def fragmented() -> Iterable[Case]:
    for opcode, kind in ((TEXT, "text"), (BIN, "binary")):
        for parts, name in (
            ([b"fragment1", b"fragment2"], "two fragments"),
            ([b"", b"", b""], "three empty fragments"),
            ([b"", b"middle", b""], "a fragment between two empty ones"),
            ([b"a", b"", b"b"], "an empty fragment between two"),
            ([b"x"] * 200, "200 fragments"),
            ([b"x" * 65536] * 4, "four fragments of 64 KiB"),
        ):
            answers = [(opcode, b"".join(parts))]
            yield Case(f"{kind} in {name}", fragments(opcode, parts), answers)
            yield Case(f"{kind} in {name} at once", [b"".join(fragments(opcode, parts))], answers)
    first, second = fragments(TEXT, [b"ab", b"cd"])
    ping, pong = frame(PING, b"p"), (PONG, b"p")
    yield Case("a ping between fragments", [first, ping, second], [pong, (TEXT, b"abcd")])
    yield Case("the same at once", [first + ping + second], [pong, (TEXT, b"abcd")])
    yield Case("the same, byte by byte", single_bytes(first + ping + second), [pong, (TEXT, b"abcd")])
    yield Case("a pong between fragments", [first, frame(PONG), second], [(TEXT, b"abcd")])
    five = [ping if turn % 2 else part for part in fragments(TEXT, [b"x"] * 5) for turn in range(2)]
    yield Case("pings between five fragments", five, [pong] * 4 + [(TEXT, b"xxxxx"), pong])
    yield Case("a continuation of nothing", [frame(CONT, b"x")], [], 1002)
    yield Case("an unfinished continuation of nothing", [frame(CONT, b"x", fin=False)], [], 1002)
    yield Case("a continuation of a finished message", [frame(TEXT, b"a"), frame(CONT, b"x")], [(TEXT, b"a")], 1002)
    yield Case("fragments, then a continuation of nothing", [first, second, second], [(TEXT, b"abcd")], 1002)
    yield Case("a text inside fragments", [first, frame(TEXT, b"x")], [], 1002)
    yield Case("a binary inside fragments", [first, frame(BIN, b"x")], [], 1002)
    yield Case("fragments inside fragments", [first, first], [], 1002)
    yield Case("two messages in fragments", [first, second] * 2, [(TEXT, b"abcd")] * 2)
    yield Case("a close between fragments", [first, close(1000)], [], 1000)


VALID_TEXTS = {
    "Greek": "κόσμε",
    "accents": "Hello-µ@ßöäüàá-UTF-8!!",
    "NUL": "\x00",
    "the last of each length": "\x7f\u07ff\uffff\U0010ffff",
    "the first of each length": "\x80\u0800\U00010000",
    "the neighbours of surrogates": "\ud7ff\ue000",
    "noncharacters": "\ufdd0\ufffe\U0001fffe\U0010fffe",
    "the replacement character": "\ufffd",
    "a family": "👨‍👩‍👧‍👦❤️🇩🇪👍🏽",
    "bidirectional controls": "\u202eabc\u2066def\u2069",
    "combining marks": "e" + "\u0301" * 100,
    "a byte order mark": "\ufeffx",
}

INVALID_TEXTS = {
    "a lone continuation": b"\x80",
    "the last continuation": b"\xbf",
    "start bytes alone": b"\xc2 \xc3 ",
    "a truncated two-byte form": b"a\xc3",
    "a truncated three-byte form": b"a\xe2\x82",
    "a truncated four-byte form": b"a\xf0\x9f\x98",
    "an overlong slash": b"\xc0\xaf",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "an overlong slash of four": b"\xf0\x80\x80\xaf",
    "an overlong NUL": b"\xc0\x80",
    "the largest overlong forms": b"\xc1\xbf",
    "the largest overlong form of three": b"\xe0\x9f\xbf",
    "the largest overlong form of four": b"\xf0\x8f\xbf\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "a five-byte form": b"\xf8\x88\x80\x80\x80",
    "a six-byte form": b"\xfc\x84\x80\x80\x80\x80",
    "0xFE and 0xFF": b"\xfe\xfe\xff\xff",
    "Latin-1": "äöü".encode("latin-1"),
    "good text before the fault": "κόσμε".encode() + b"\xed\xa0\x80" + b"edited",
}


def texts() -> Iterable[Case]:
    for name, text in VALID_TEXTS.items():
        encoded = text.encode("utf-8", "surrogatepass")
        yield Case(f"text: {name}", [frame(TEXT, encoded)], [(TEXT, encoded)])
        each = fragments(TEXT, single_bytes(encoded))
        yield Case(f"text: {name}, a fragment per byte", each, [(TEXT, encoded)])
    for name, encoded in INVALID_TEXTS.items():
        yield Case(f"bad text: {name}", [frame(TEXT, encoded)], [], 1007)
        yield Case(f"bad text: {name}, a fragment per byte", fragments(TEXT, single_bytes(encoded)), [], 1007)
        yield Case(f"binary: {name}", [frame(BIN, encoded)], [(BIN, encoded)])
    unfinished = frame(TEXT, b"\xed\xa0", fin=False)
    yield Case("bad text in a first fragment is refused at once", [unfinished], [], 1007)
    second = fragments(TEXT, ["κόσμε".encode(), b"\xf4\x90"], finish=False)
    yield Case("bad text in a second fragment is refused at once", second, [], 1007)
    good = frame(TEXT, b"good") + frame(TEXT, b"\xff")
    yield Case("a good text, then a bad one", [good], [(TEXT, b"good")], 1007)


def closes() -> Iterable[Case]:
    for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4001, 4999):
        yield Case(f"close {code}", [close(code)], [], code)
        yield Case(f"close {code} with a reason", [close(code, "bye ☕".encode())], [], code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535):
        yield Case(f"close {code}", [close(code)], [], 1002)
    yield Case("an empty close", [frame(CLOSE)], [], 1005)
    yield Case("a close of one byte", [frame(CLOSE, b"\x03")], [], 1002)
    yield Case("the longest reason", [close(1000, b"x" * 123)], [], 1000)
    for name in ("the first surrogate", "an overlong slash", "a truncated two-byte form", "0xFE and 0xFF"):
        yield Case(f"a close reason with {name}", [close(1000, INVALID_TEXTS[name])], [], 1007)
    yield Case("a message after the close", [close(1000) + frame(TEXT, b"late")], [], 1000)
    yield Case("a ping after the close", [close(1000) + frame(PING, b"late")], [], 1000)
    yield Case("a second close", [close(1000) + close(1001)], [], 1000)
    yield Case("an invalid frame after the close", [close(1000) + frame(3)], [], 1000)
    yield Case("a message before the close", [frame(TEXT, b"x") + close(1000)], [(TEXT, b"x")], 1000)
    large = frame(TEXT, b"x" * 262_144)
    yield Case("a large message, then the close", [large, close(1000)], [(TEXT, b"x" * 262_144)], 1000)


CASES = [*sizes(), *pings(), *reserved(), *lengths(), *fragmented(), *texts(), *closes()]


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    head = await reader.read(1)
    if not head:
        return None
    assert head[0] & 0xF0 == 0x80, "a server frame is final and without reserved bits"
    size = (await reader.readexactly(1))[0]
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return head[0] & 0x0F, await reader.readexactly(size)


async def run(case: Case, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    async def write() -> None:
        for chunk in [*case.chunks, *([close(1000)] if case.ends is None else [])]:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    answers = []
    while answer := await read_frame(reader):
        answers.append(answer)
    await asyncio.gather(writing, return_exceptions=True)
    writer.close()
    opcode, payload = answers.pop()
    assert opcode == CLOSE
    assert answers == case.answers
    assert int.from_bytes(payload[:2] or (1005).to_bytes(2, "big"), "big") == (case.ends or 1000)
    payload[2:].decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_server_conforms_to_the_rfc(case: Case) -> None:
    async with asyncio.timeout(10), listening("127.0.0.1", 0, accept=accept, limits=echo_limits(LIMIT)) as listener:
        await run(case, listener.port)


def test_uvloop_makes_no_difference() -> None:
    async def run_all() -> None:
        async with listening("127.0.0.1", 0, accept=accept, limits=echo_limits(LIMIT)) as listener:
            for case in CASES:
                await run(case, listener.port)

    uvloop.run(run_all())
