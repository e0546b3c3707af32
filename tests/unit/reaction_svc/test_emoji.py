"""Which texts are one emoji."""

from __future__ import annotations

import unicodedata

import pytest

from reaction_svc.emoji import ALIASES, canonical, forms


def test_every_recommended_form_has_a_key_and_every_emoji_one_key_only() -> None:
    written = {form: key for form, key in forms().items() if form not in ALIASES}
    assert len(written) == 5_235
    assert len(set(written.values())) == 3_963
    assert all(key == form.replace("\ufe0f", "") for form, key in written.items())


def test_the_key_is_itself_a_form_or_opens_from_one() -> None:
    assert canonical("❤️") == canonical("❤") == "❤"
    assert canonical("👩‍❤️‍👨") == canonical("👩‍❤‍👨") == "👩‍❤‍👨"


def test_compatibility_folding_is_never_applied() -> None:
    assert unicodedata.normalize("NFKC", "™️") == "TM\ufe0f"
    assert canonical("™️") == "™"


@pytest.mark.parametrize(
    ("name", "emoji"), [("like", "👍"), ("love", "❤"), ("haha", "😆"), ("wow", "😮"), ("sad", "😢"), ("angry", "😡")]
)
def test_the_six_names_stand_for_their_emoji(name: str, emoji: str) -> None:
    assert canonical(name) == emoji


@pytest.mark.parametrize("emoji", ["👍", "🐟", "⚡", "⭐", "☕", "🏠", "⌚", "⏩", "👍🏽", "🇺🇦"])
def test_an_emoji_that_needs_no_variation_selector_may_carry_one(emoji: str) -> None:
    assert canonical(f"{emoji}\ufe0f") == canonical(emoji) == emoji


def test_skin_tones_and_flags_are_emoji_of_their_own() -> None:
    assert canonical("👍🏽") == "👍🏽" != canonical("👍")
    assert canonical("🇺🇦") == "🇺🇦"
    assert canonical("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1",
        "👍👍",
        "👍 ",
        "👍x",
        "🏽",  # a skin tone alone
        "🦰",  # red hair alone
        "\u200d",
        "\ufe0f",
        "👍\ufe0f\ufe0f",
        "\ufe0f👍",
        "like\ufe0f",
        "1\ufe0f",
        "👍\ufe0e",
        "👩\u200d",
        "\u200d👩",
        "👩\u200d\u200d❤\u200d👨",
        "🇺",
        "🇦🇦",
        "🇺🇦🇺",
        "🏴\U000e0067\U000e0062",
        "\u20e3",
        "a\u20e3",
        "LIKE",
        "like ",
        ":like:",
        "👍\0",
        "👍\u0301",
    ],
)
def test_components_pairs_text_and_broken_sequences_are_no_emoji(text: str) -> None:
    assert canonical(text) is None
