"""The pure rules of RFC 6455: encoding, close codes, messages of fragments, declared lengths."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import Rate
from gateway.websocket.rfc6455 import (
    BINARY,
    CONTINUATION,
    NO_STATUS,
    TEXT,
    DeclaredLengths,
    Messages,
    ProtocolError,
    encode_close,
    encode_frame,
    is_close_code,
    parse_close,
)


def client_frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """A masked frame whose mask is zero, so that the payload is seen as it is."""
    server = encode_frame(opcode, payload)
    head = len(server) - len(payload)
    return bytes((server[0], server[1] | 0x80)) + server[2:head] + bytes(4) + payload


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_is_written_in_the_shortest_form(size: int, head: bytes) -> None:
    assert encode_frame(TEXT, b"x" * size) == head + b"x" * size


def test_a_close_frame_carries_its_code_and_reason() -> None:
    assert encode_close(4001, "slow") == b"\x88\x06\x0f\xa1slow"


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert encode_close(NO_STATUS) == b"\x88\x00"


@given(st.text(max_size=200))
def test_a_long_reason_is_cut_between_characters(reason: str) -> None:
    code, cut = parse_close(encode_close(1000, reason)[2:])
    assert code == 1000
    assert len(cut.encode()) <= 123
    assert reason.startswith(cut)
    assert cut == reason or len(cut.encode()) > 119


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_a_reserved_code_is_never_sent(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        encode_close(code)


def test_exactly_the_registered_and_the_private_codes_are_valid() -> None:
    registered = [1000, 1001, 1002, 1003, *range(1007, 1015)]
    assert [code for code in range(65536) if is_close_code(code)] == [*registered, *range(3000, 5000)]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x03\xed", 1002),
        (b"\x00\x00", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8\xed\xa0\x80", 1007),
    ],
)
def test_a_malformed_close_frame_breaks_the_protocol(payload: bytes, code: int) -> None:
    with pytest.raises(ProtocolError) as broken:
        parse_close(payload)
    assert broken.value.code == code


def test_a_close_frame_may_be_empty() -> None:
    assert parse_close(b"") == (NO_STATUS, "")


@given(st.text(), st.data())
def test_text_survives_any_fragmentation(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=5)))
    bounds = [0, *cuts, len(encoded)]
    messages = Messages(limit=10_000)
    opcode = TEXT
    for start, end in pairwise(bounds):
        assert messages.receive(opcode, 0, 0, encoded[start:end]) is None
        opcode = CONTINUATION
    assert messages.receive(CONTINUATION, 1, 0, b"") == encoded
    assert messages.is_text


@given(st.binary(max_size=20))
def test_text_is_refused_exactly_when_python_cannot_decode_it(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError:
        with pytest.raises(ProtocolError) as broken:
            Messages(limit=100).receive(TEXT, 1, 0, payload)
        assert broken.value.code == 1007
    else:
        assert Messages(limit=100).receive(TEXT, 1, 0, payload) == payload


@pytest.mark.parametrize("head", [b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe0\x80", b"\xf0\x80", b"\xf8"])
def test_text_that_can_no_longer_become_valid_is_refused_immediately(head: bytes) -> None:
    with pytest.raises(ProtocolError) as broken:
        Messages(limit=100).receive(TEXT, 0, 0, head)
    assert broken.value.code == 1007


def test_binary_messages_are_not_validated() -> None:
    messages = Messages(limit=100)
    assert messages.receive(BINARY, 1, 0, b"\xff") == b"\xff"
    assert not messages.is_text


def test_the_limit_counts_all_fragments() -> None:
    messages = Messages(limit=10)
    assert messages.receive(BINARY, 0, 0, b"x" * 10) is None
    with pytest.raises(ProtocolError) as broken:
        messages.receive(CONTINUATION, 1, 0, b"x")
    assert broken.value.code == 1009


def test_a_message_of_exactly_the_limit_is_accepted() -> None:
    assert Messages(limit=10).receive(BINARY, 1, 0, b"x" * 10) == b"x" * 10


@given(st.lists(st.integers(0, 70_000), max_size=4), st.integers(1, 5_000))
def test_frames_within_the_limit_pass_in_any_fragmentation(sizes: list[int], cut: int) -> None:
    stream = b"".join(client_frame(b"\x81\xff" * (size // 2)) for size in sizes)
    lengths = DeclaredLengths(limit=70_000)
    assert all(lengths.oversized(stream[at : at + cut]) is None for at in range(0, len(stream), cut))


@given(st.integers(11, 2**63 - 1), st.integers(1, 20))
def test_an_oversized_frame_is_detected_when_its_header_is_complete(length: int, cut: int) -> None:
    extended = b"\xff" + length.to_bytes(8, "big") if length > 125 else bytes((0x80 | length,))
    good = client_frame(b"x" * 10)
    stream = good + b"\x82" + extended + bytes(4)
    lengths = DeclaredLengths(limit=10)
    results = [(at, lengths.oversized(stream[at : at + cut])) for at in range(0, len(stream) + 1, cut)]
    at, offset = next((at, offset) for at, offset in results if offset is not None)
    assert at + offset == len(stream)


@pytest.mark.parametrize("first", [b"\x89", b"\x88", b"\x8a"])
def test_control_frames_and_an_invalid_high_bit_are_not_oversized(first: bytes) -> None:
    assert DeclaredLengths(limit=10).oversized(first + b"\xfe\xff\xff" + bytes(4)) is None
    assert DeclaredLengths(limit=10).oversized(b"\x82\xff" + b"\xff" * 8 + bytes(4)) is None


@given(st.floats(0, 1e7), st.sampled_from([0.001, 0.3, 10, 333]), st.integers(1, 100))
def test_a_rate_allows_its_burst_and_then_its_rate(now: float, per_second: float, burst: int) -> None:
    rate = Rate(per_second, burst)
    due = 0.0
    for _ in range(burst):
        spent = rate.spend(due, now)
        assert spent is not None
        due = spent
    assert rate.spend(due, now) is None
    assert rate.spend(due, now + 1 / per_second) is not None
