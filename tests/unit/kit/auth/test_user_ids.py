"""Ids of other systems become ids of ours: no two of them the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.auth.user_ids import MAX_FOREIGN_BYTES, escape, unescape
from kit.target import is_id

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)
# Texts that look like what the mapping makes, and texts that differ in little.
CLOSE = st.text(st.sampled_from("~.a2e7c|@é"), min_size=1, max_size=90)
FOREIGN = st.one_of(TEXTS, CLOSE)
OWN = st.from_regex(r"\A(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,64}\Z")


@pytest.mark.parametrize(
    ("foreign", "own"),
    [
        ("alice", "alice"),
        ("0193f4a0-7c1e-7d3b-9f00-2c9c1b6a1b11", "0193f4a0-7c1e-7d3b-9f00-2c9c1b6a1b11"),
        ("auth0|6543", "auth0~7c6543"),
        ("google-oauth2|123", "google-oauth2~7c123"),
        ("@a:matrix.org", "~40a~3amatrix.org"),
        ("ann+x@example.com", "ann~2bx~40example.com"),
        ("a~b", "a~7eb"),
        ("é", "~c3~a9"),
        (".", "~2e"),
        ("..", "~2e~2e"),
        ("...", "..."),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 19 + "~~" + "lTfF_fEgSC99WNJentWD9SwCtOME6oFNsWM61WWu1-k"),
    ],
)
def test_ids_of_known_systems_are_escaped_as_expected(foreign: str, own: str) -> None:
    assert escape(foreign) == own


@given(FOREIGN)
def test_an_escaped_id_is_valid(foreign: str) -> None:
    assert is_id(escape(foreign))


@given(FOREIGN, FOREIGN)
def test_two_ids_never_become_one(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(OWN)
def test_an_id_without_the_escape_character_stays_as_it_is(own: str) -> None:
    assert escape(own) == own


@given(FOREIGN)
def test_a_short_escaped_id_can_be_unescaped(foreign: str) -> None:
    assert unescape(escape(foreign)) == (None if "~~" in escape(foreign) else foreign)


@pytest.mark.parametrize("foreign", ["", "\ud800", "x" * (MAX_FOREIGN_BYTES + 1)])
def test_an_invalid_id_is_refused(foreign: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one
        escape(foreign)
