"""Page tokens: valid only for their query, their user and their time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.auth.cursor import Cursors, InvalidCursor, cursor_secret
from kit.clock import ManualClock

SCOPE = ("reactors", "default", "alice", "messages/1", "👍")


@pytest.fixture(name="clock")
def fixture_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(name="cursors")
def fixture_cursors(clock: ManualClock) -> Cursors:
    return Cursors(b"secret", clock, ttl=60)


def test_a_token_opens_for_the_scope_it_was_sealed_for(cursors: Cursors) -> None:
    assert cursors.open(SCOPE, cursors.seal(SCOPE, "1700000000000001")) == "1700000000000001"


@given(st.integers(0, 200), st.integers(0, 7))
def test_an_edited_token_does_not_open(at: int, bit: int) -> None:
    cursors = Cursors(b"secret", ManualClock(), ttl=60)
    raw = bytearray(cursors.seal(SCOPE, "17").encode())
    raw[at % len(raw)] ^= 1 << bit
    edited = raw.decode("latin-1")
    with pytest.raises(InvalidCursor):
        cursors.open(SCOPE, edited)


@given(st.text(max_size=600))
def test_a_malformed_token_is_not_opened(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursors(b"secret", ManualClock(), ttl=60).open(SCOPE, text)


@given(st.lists(st.text()), st.lists(st.text()))
def test_a_token_of_another_scope_does_not_open(ours: list[str], theirs: list[str]) -> None:
    cursors = Cursors(b"secret", ManualClock(), ttl=60)
    token = cursors.seal(theirs, "17")
    if ours == theirs:
        assert cursors.open(ours, token) == "17"
    else:
        with pytest.raises(InvalidCursor):
            cursors.open(ours, token)


def test_a_token_under_another_secret_does_not_open(cursors: Cursors, clock: ManualClock) -> None:
    with pytest.raises(InvalidCursor):
        Cursors(b"other", clock, ttl=60).open(SCOPE, cursors.seal(SCOPE, "17"))


def test_a_token_ends_with_its_time(cursors: Cursors, clock: ManualClock) -> None:
    token = cursors.seal(SCOPE, "17")
    clock.advance(59)
    assert cursors.open(SCOPE, token) == "17"
    clock.advance(2)
    with pytest.raises(InvalidCursor):
        cursors.open(SCOPE, token)


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    secret = cursor_secret(tmp_path / "keys")
    assert len(secret) == 32
    assert cursor_secret(tmp_path / "keys") == secret
    assert [(file.name, file.stat().st_mode & 0o777) for file in (tmp_path / "keys").iterdir()] == [
        ("cursor.key", 0o600)
    ]
