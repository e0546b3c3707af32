"""Recognises emoji, and maps all ways to write one to a canonical key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# The names of the six reactions of posts, as in social networks, and the emoji of each.
ALIASES: Mapping[str, str] = {"like": "👍", "love": "❤", "haha": "😆", "wow": "😮", "sad": "😢", "angry": "😡"}

# They select how a character is drawn, in colour or as text, not the character. Nothing else may be folded: NFKC, for
# one, would turn ™ into the letters TM.
_VARIATION_SELECTORS = re.compile("[\ufe0e\ufe0f]")
_COLONS = re.compile(r":([^\s:]+):")
# Without colons a single letter, or a number, is more likely a mistake than a name.
_BARE = re.compile(r"[a-z+-][^\s:]+")


@cache
def forms() -> Mapping[str, str]:
    """Every text that is looked up as it is, to its key: all RGI emoji (UTS #51) and the six names."""
    return {**{emoji: emoji for emoji in _table()}, **ALIASES}


@cache
def names() -> Mapping[str, str]:
    """Names, without colons and in lower case, to the keys of their emoji; the six names come before others."""
    return {**{name: emoji for emoji, names in _table().items() for name in names}, **ALIASES}


@cache
def _table() -> Mapping[str, list[str]]:
    # Some milliseconds; read once.
    _, *lines = (Path(__file__).parent / "data" / "emoji.txt").read_text(encoding="utf-8").splitlines()
    return {emoji: found for emoji, *found in (line.split(" ") for line in lines)}


def canonical(text: str) -> str | None:
    """The canonical key of an emoji, or None for anything that is not exactly one emoji.

    An emoji may have variation selectors anywhere or nowhere. Its name may be between colons (`:+1:`) or, if it is
    no single letter or number, without them (`thumbsup`).
    """
    found = forms().get(text)
    if found is not None:
        return found
    if not text.isascii() and (bare := _VARIATION_SELECTORS.sub("", text)) != text:
        return None if bare in ALIASES else forms().get(bare)
    lowered = text.lower()
    if name := _COLONS.fullmatch(lowered):
        return names().get(name[1])
    return names().get(lowered) if _BARE.fullmatch(lowered) else None
