"""RFC 6455: the frames a server writes, and the rules for the frames of a client (no I/O)."""

from codecs import IncrementalDecoder, getincrementaldecoder
from struct import Struct
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NO_STATUS: Final = 1005
"""Reported, never sent: the peer's close frame had no code."""
ABNORMAL: Final = 1006
"""Reported, never sent: the connection ended without a close frame."""

_MAX_CONTROL = 125
_MAX_REASON = _MAX_CONTROL - 2
_HIGH_BIT = 1 << 63
_EXTENDED = {126: 2, 127: 8}
# What IANA has registered for the wire. 1004 is undefined; 1005, 1006 and 1015 exist only in reports.
_REGISTERED = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})

# The headers of frames up to 125 bytes, up to 64 KiB, and larger ones.
_short, _medium, _long = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack
_utf8_decoder = getincrementaldecoder("utf-8")


class ProtocolError(Exception):
    """The peer violated the protocol: close the connection with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One whole unmasked frame, ready for the wire (section 5.2)."""
    return encode_parts(opcode, payload, b"")


def encode_parts(opcode: int, head: bytes, tail: bytes) -> bytes:
    """As `encode_frame`, of a payload in two parts. Where frames have the same second part, it is copied only once for
    each."""
    size = len(head) + len(tail)
    if size < 126:
        return b"".join((_short(0x80 | opcode, size), head, tail))
    if size < 0x10000:
        return b"".join((_medium(0x80 | opcode, 126, size), head, tail))
    return b"".join((_long(0x80 | opcode, 127, size), head, tail))


def encode_close(code: int, reason: str = "") -> bytes:
    """A close frame. `NO_STATUS` gives one without a code; a long reason is cut at a character's end."""
    if code == NO_STATUS:
        return encode_frame(CLOSE, b"")
    if not is_close_code(code):
        raise ValueError(f"{code} must not be sent in a close frame")
    text = reason.encode()
    if len(text) > _MAX_REASON:
        text = text[:_MAX_REASON].decode(errors="ignore").encode()
    return encode_frame(CLOSE, code.to_bytes(2, "big") + text)


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry this code (section 7.4)."""
    return 3000 <= code <= 4999 or code in _REGISTERED


def parse_close(payload: bytes) -> tuple[int, str]:
    """The code and reason of a received close frame; `NO_STATUS` if it has none. Raises `ProtocolError`."""
    if not payload:
        return NO_STATUS, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not is_close_code(code):
        raise ProtocolError(1002, "invalid close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(1007, "close reason is not UTF-8") from None


class Messages:
    """Assembles messages from the data frames of a peer, and refuses what sections 5.4, 5.6 and 8.1 forbid.

    The parser has checked opcodes, masks and lengths before. An incomplete message is in one buffer of at most `limit`
    bytes; its text is checked fragment by fragment, so that invalid UTF-8 fails immediately.
    """

    __slots__ = ("_buffer", "_decoder", "is_text", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """The size in bytes above which a message is refused with 1009."""
        self.is_text = False
        """Whether the message last returned by `receive` is text."""
        self._buffer: bytearray | None = None
        self._decoder: IncrementalDecoder | None = None

    def receive(self, opcode: int, final: int, reserved: int, payload: bytes) -> bytes | None:
        """Adds one data frame; returns the message that it completes, if any. Raises `ProtocolError`."""
        if not final or reserved or opcode == CONTINUATION or self._buffer is not None or len(payload) > self.limit:
            return self._receive_fragment(opcode, final, reserved, payload)
        self.is_text = opcode == TEXT
        if self.is_text and not payload.isascii():
            check_text(payload)
        return payload

    def _receive_fragment(self, opcode: int, final: int, reserved: int, payload: bytes) -> bytes | None:
        if reserved:
            raise ProtocolError(1002, "reserved bits are set")
        if opcode == CONTINUATION:
            if self._buffer is None:
                raise ProtocolError(1002, "there is no message to continue")
        elif self._buffer is not None:
            raise ProtocolError(1002, "the message before is not finished")
        else:
            self._buffer = bytearray()
            self._decoder = _utf8_decoder() if opcode == TEXT else None
            self.is_text = opcode == TEXT
        if len(self._buffer) + len(payload) > self.limit:
            raise ProtocolError(1009, f"the message is larger than {self.limit} bytes")
        if self._decoder is not None:
            _decode_part(self._decoder, payload, bool(final))
        self._buffer += payload
        if not final:
            return None
        message = bytes(self._buffer)
        self._buffer = self._decoder = None
        return message


def check_text(payload: bytes) -> None:
    """Raises `ProtocolError` unless the payload is UTF-8: no overlong forms, no surrogates, nothing cut off."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise ProtocolError(1007, "text is not UTF-8") from None


def _decode_part(decoder: IncrementalDecoder, payload: bytes, final: bool) -> None:
    try:
        decoder.decode(payload, final)
    except UnicodeDecodeError:
        raise ProtocolError(1007, "text is not UTF-8") from None
    # Python waits for the third byte of a surrogate before it refuses it.
    pending = decoder.getstate()[0]
    if pending[:1] == b"\xed" and pending[1:2] >= b"\xa0":
        raise ProtocolError(1007, "text is not UTF-8")


class DeclaredLengths:
    """Reads the frame headers of a byte stream, to refuse a payload before it is buffered."""

    __slots__ = ("_head", "_limit", "_skip")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._skip = 0

    def oversized(self, data: bytes) -> int | None:
        """Reads the next bytes of the stream; returns the offset in them at which an oversized payload begins, if
        any."""
        at = 0
        while True:
            step = min(self._skip, len(data) - at)
            self._skip -= step
            at += step
            missing = _header_size(self._head) - len(self._head)
            while missing and at < len(data):
                self._head += data[at : at + missing]
                at = min(at + missing, len(data))
                missing = _header_size(self._head) - len(self._head)
            if missing or self._skip:
                return None
            length = _declared_length(self._head)
            # Control frames and the high bit violate other rules, which the parser refuses with 1002.
            if self._limit < length < _HIGH_BIT and not self._head[0] & 0x8:
                return at
            self._skip = length
            self._head.clear()


def _header_size(head: bytearray) -> int:
    if len(head) < 2:
        return 2
    return 2 + _EXTENDED.get(head[1] & 0x7F, 0) + (4 if head[1] & 0x80 else 0)


def _declared_length(head: bytearray) -> int:
    length = head[1] & 0x7F
    if length == 126:
        return int.from_bytes(head[2:4], "big")
    if length == 127:
        return int.from_bytes(head[2:10], "big")
    return length
