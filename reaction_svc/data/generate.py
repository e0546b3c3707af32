"""Writes `emoji.txt` beside itself: every emoji recommended for interchange (RGI), and the names people type for it.

A line is an emoji in its canonical form, without variation selectors, and its names without colons. The emoji are
those of Unicode's emoji-test.txt with status fully-qualified, minimally-qualified or unqualified; the names are those
of GitHub and other chats, and the short names of CLDR (Unicode License V3). Both come from the package `emoji` 2.16
(New BSD License). Run with `pip install emoji` done, whenever Unicode has a new version:

    python reaction_svc/data/generate.py
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPONENT = 1  # statuses as the package numbers them
VARIATION_SELECTOR = "\ufe0f"
# The contract has 64 bytes for an emoji, and a name has two colons.
LONGEST = 62


def ranked(row: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """The names that chats give an emoji, that of CLDR, and older ones of CLDR, which have capitals."""
    given = row.get("alias", [])
    return [name for name in given if name == name.lower()], [row["en"]], given


def main() -> None:
    """Generates the file and says what is in it."""
    package = importlib.import_module("emoji")
    rows = {form: row for form, row in package.EMOJI_DATA.items() if row["status"] != COMPONENT}
    emojis = {form.replace(VARIATION_SELECTOR, "") for form in rows}
    meant: dict[str, str] = {}
    # Where two have a name, those of chats come first: `cat` is the face, `turkey` the bird.
    for rank in range(3):
        for form in sorted(rows):
            for name in ranked(rows[form])[rank]:
                plain = name.strip(":").lower()
                # Of those with skin tones there are five to thirty for each emoji; keyboards write these.
                if "_skin_tone" not in plain and len(plain.encode()) <= LONGEST:
                    meant.setdefault(plain, form.replace(VARIATION_SELECTOR, ""))
    names: dict[str, list[str]] = {emoji: [] for emoji in emojis}
    for name, emoji in sorted(meant.items()):
        names[emoji].append(name)
    newest = max(row["E"] for row in rows.values())
    header = (
        f"# Emoji {newest}: {len(emojis)} emoji with {len(meant)} names, from Unicode's emoji-test.txt, CLDR and the"
        " package emoji (see generate.py)"
    )
    lines = [" ".join([emoji, *names[emoji]]) for emoji in sorted(emojis)]
    (Path(__file__).parent / "emoji.txt").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    print(header)


if __name__ == "__main__":
    main()
