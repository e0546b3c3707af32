"""Which texts are one emoji."""

from __future__ import annotations

import unicodedata

import pytest

from reaction_svc.emoji import ALIASES, canonical, forms, names


def test_every_recommended_emoji_is_its_own_key() -> None:
    emojis = {form: key for form, key in forms().items() if form not in ALIASES}
    assert len(emojis) == 3_963
    assert all(key == form and "\ufe0f" not in key for form, key in emojis.items())


def test_every_name_is_one_emoji_with_colons_and_fits_the_contract() -> None:
    assert len(names()) > 2_900
    for name, emoji in names().items():
        assert canonical(f":{name}:") == emoji
        assert canonical(emoji) == emoji
        assert len(f":{name}:".encode()) <= 64


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        (":+1:", "👍"), ("+1", "👍"), ("-1", "👎"), ("thumbsup", "👍"), (":thumbsup:", "👍"), (":ThumbsUp:", "👍"),
        ("thumbs_up", "👍"), ("tada", "🎉"), (":heart:", "❤"), (":100:", "💯"), (":x:", "❌"), (":cat:", "🐱"),
        (":turkey:", "🦃"), (":japan:", "🗾"), (":jp:", "🇯🇵"), (":piñata:", "🪅"), ("LIKE", "👍"), (":like:", "👍"),
        ("angry", "😡"), (":angry:", "😡"),
    ],
)  # fmt: skip
def test_the_name_of_an_emoji_means_the_emoji(text: str, emoji: str) -> None:
    assert canonical(text) == emoji


def test_the_key_is_itself_a_form_or_opens_from_one() -> None:
    assert canonical("❤️") == canonical("❤") == "❤"
    assert canonical("👩‍❤️‍👨") == canonical("👩‍❤‍👨") == "👩‍❤‍👨"


def test_compatibility_normalization_is_never_applied() -> None:
    assert unicodedata.normalize("NFKC", "™️") == "TM\ufe0f"
    assert canonical("™️") == "™"


@pytest.mark.parametrize(
    ("name", "emoji"), [("like", "👍"), ("love", "❤"), ("haha", "😆"), ("wow", "😮"), ("sad", "😢"), ("angry", "😡")]
)
def test_the_six_names_mean_their_emoji(name: str, emoji: str) -> None:
    assert canonical(name) == emoji


@pytest.mark.parametrize("emoji", ["👍", "🐟", "⚡", "⭐", "☕", "🏠", "⌚", "⏩", "👍🏽", "🇺🇦"])
def test_an_emoji_that_needs_no_variation_selector_may_carry_one(emoji: str) -> None:
    assert canonical(f"{emoji}\ufe0f") == canonical(emoji) == emoji


@pytest.mark.parametrize("selector", ["\ufe0f", "\ufe0e", "\ufe0f\ufe0f", "\ufe0e\ufe0f"])
@pytest.mark.parametrize("emoji", ["👍", "❤", "☺", "1\u20e3", "👩\u200d❤\u200d👨", "🇺🇦"])
def test_how_a_character_is_drawn_does_not_make_another_emoji_of_it(emoji: str, selector: str) -> None:
    for at in range(len(emoji) + 1):
        assert canonical(emoji[:at] + selector + emoji[at:]) == emoji


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
        "like\ufe0f",
        "1\ufe0f",
        "👩\u200d",
        "\u200d👩",
        "👩\u200d\u200d❤\u200d👨",
        "🇺",
        "🇦🇦",
        "🇺🇦🇺",
        "🏴\U000e0067\U000e0062",
        "\u20e3",
        "a\u20e3",
        "like ",
        ":like",
        "like:",
        ":like::love:",
        "::",
        ":nothing_has_this_name:",
        "100",
        "a",
        ":a\ufe0f:",
        "thumbsup\ufe0f",
        "thumbs up",
        "👍\0",
        "👍\u0301",
    ],
)
def test_components_pairs_text_and_broken_sequences_are_no_emoji(text: str) -> None:
    assert canonical(text) is None
