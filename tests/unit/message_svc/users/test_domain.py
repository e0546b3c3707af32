"""The forms of names, and what users allow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_svc.users.domain import (
    Audience,
    Preferences,
    PreferencesChange,
    Profile,
    Relation,
    is_display_name,
    is_username,
    normalized_username,
)

ANY_TEXT = st.text(max_size=60)


@given(ANY_TEXT)
def test_the_stored_form_of_a_username_is_its_own_stored_form(text: str) -> None:
    stored = normalized_username(text)
    assert normalized_username(stored) == stored


@given(ANY_TEXT)
def test_case_does_not_make_another_username(text: str) -> None:
    assert normalized_username(text.casefold()) == normalized_username(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Alice", "alice"),
        ("ＡＬＩＣＥ", "alice"),
        ("Ⅻ", "xii"),
        ("ﬁn", "fin"),
        ("Straße", "strasse"),
        ("e\u0301", "é"),
        ("\u212b", "å"),
        ("ſ", "s"),
        ("İ", "i\u0307"),
    ],
)
def test_compatible_characters_are_one(text: str, stored: str) -> None:
    assert normalized_username(text) == stored


@pytest.mark.parametrize("text", ["alice", "a", "alice_b.c-d", "élodie", "ธนา", "नमस्ते", "日本", "7", "x" * 50])
def test_letters_digits_and_marks_of_any_script_make_a_username(text: str) -> None:
    assert is_username(text)


@pytest.mark.parametrize(
    "text", ["", "x" * 51, "a b", "a@b", "a/b", "a\0", "a\u200db", "a\u202eb", "👋", "a\n", "%", "a\ufffeb", "a,b"]
)
def test_anything_else_makes_none(text: str) -> None:
    assert not is_username(text)


def test_a_display_name_is_any_text_without_control_characters() -> None:
    assert is_display_name("👩‍👩‍👧 \u202eAlice\u202c <b>")
    assert not any(is_display_name(text) for text in ("a\0", "a\n", "\x1b[1m", "\x85"))


@pytest.mark.parametrize("has_contact", [False, True])
@pytest.mark.parametrize("audience", Audience)
def test_an_audience_is_everyone_the_contacts_or_no_one(audience: Audience, has_contact: bool) -> None:
    allowed = audience is Audience.EVERYONE or (audience is Audience.CONTACTS and has_contact)
    writing = Relation(Preferences(who_may_write=audience), has_contact)
    adding = Relation(Preferences(who_may_add=audience), has_contact)
    assert (writing.lets_write, writing.lets_add) == (allowed, True)
    assert (adding.lets_write, adding.lets_add) == (True, allowed)


def test_a_block_is_stronger_than_a_contact() -> None:
    relation = Relation(has_contact=True, is_blocked=True)
    assert not relation.lets_write
    assert not relation.lets_add


def test_others_do_not_see_phone_language_and_time_zone() -> None:
    profile = Profile("alice", "a", "Alice", "+4930123456", "https://example.com/a", "de", "Europe/Vienna", 7)
    assert profile.shown == Profile("alice", "a", "Alice", "", "https://example.com/a", "", "", 7)


def test_a_change_of_preferences_does_not_change_unnamed_fields() -> None:
    before = Preferences(Audience.NOBODY, phone_lookup=False)
    change = PreferencesChange(who_may_add=Audience.CONTACTS, phone_lookup=True)
    assert change.applied_to(before) == Preferences(Audience.NOBODY, Audience.CONTACTS)
