"""Which texts are an emoji, and which of its forms names it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

# The names of the six reactions of posts, as in social networks, and the emoji each stands for.
ALIASES: Mapping[str, str] = {"like": "👍", "love": "❤", "haha": "😆", "wow": "😮", "sad": "😢", "angry": "😡"}

# Asks for the coloured form of a character. Forms with and without it are one emoji; nothing else may be folded:
# NFKC, for one, would turn ™ into the letters TM.
_VARIATION_SELECTOR = "\ufe0f"


@cache
def forms() -> Mapping[str, str]:
    """Every accepted text to its canonical emoji: all RGI forms (UTS #51) and the aliases. Read once, in 2 ms."""
    _, _, text = (Path(__file__).parent / "data" / "emoji.txt").read_text(encoding="utf-8").partition("\n")
    table = dict(zip(text.split(), text.replace(_VARIATION_SELECTOR, "").split(), strict=True))
    table.update(ALIASES)
    return table


def canonical(text: str) -> str | None:
    """The one key of an emoji whatever form it is written in, or None for anything that is not one whole emoji."""
    found = forms().get(text)
    if found is None and _VARIATION_SELECTOR in text[1:] and 2 * _VARIATION_SELECTOR not in text:
        # Keyboards ask for colour also where nobody has to.
        bare = text.replace(_VARIATION_SELECTOR, "")
        found = None if bare.isascii() or text[0] == _VARIATION_SELECTOR else forms().get(bare)
    return found
