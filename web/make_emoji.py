"""Writes `web/emoji.json`, what the picker offers, from the Unicode emoji list and the CLDR's English keywords.

    python web/make_emoji.py /usr/share/unicode/emoji/emoji-test.txt \
        /usr/share/unicode/cldr/common/annotations/en.xml /usr/share/unicode/cldr/common/annotationsDerived/en.xml

The files are Debian's `unicode-data` and `unicode-cldr-core`. Skin tones are left out: a reaction is counted per emoji,
and six times as many cells make nothing easier to find.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

PRESENTATION = "\N{VARIATION SELECTOR-16}"
SKIN_TONES = range(0x1F3FB, 0x1F400)
TITLES = {
    "Smileys & Emotion": "Smileys",
    "People & Body": "People",
    "Animals & Nature": "Nature",
    "Food & Drink": "Food",
    "Travel & Places": "Places",
}
LINE = re.compile(r"^(?P<points>[0-9A-F ]+?)\s*; fully-qualified\s*# \S+ E[\d.]+ (?P<name>.+)$")
WORDS_EACH = 6


def keywords(files: list[Path]) -> dict[str, list[str]]:
    """Emoji, without variation selectors, to its keywords."""
    found: dict[str, list[str]] = {}
    for file in files:
        for node in ElementTree.parse(file).iter("annotation"):
            if node.get("type") != "tts" and node.text:
                found[node.attrib["cp"].replace(PRESENTATION, "")] = [word.strip() for word in node.text.split("|")]
    return found


def groups(listing: str, words: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Each group with lines `<emoji> <name>|<further words>`, in Unicode's order, without skin tones."""
    title, lines = "", list[str]()
    for line in [*listing.splitlines(), "# group: "]:
        if line.startswith("# group: "):
            if lines:
                yield TITLES.get(title, title), lines
            title, lines = line.removeprefix("# group: ").strip(), []
        elif (match := LINE.match(line)) and not any(int(p, 16) in SKIN_TONES for p in match["points"].split()):
            emoji = "".join(chr(int(point, 16)) for point in match["points"].split())
            name = match["name"].lower()
            extra = [w for w in words.get(emoji.replace(PRESENTATION, ""), []) if w.lower() not in name]
            lines.append(f"{emoji} {name}|{' '.join(dict.fromkeys(' '.join(extra[:WORDS_EACH]).lower().split()))}")


def main() -> None:
    """Reads the files named on the command line and writes `emoji.json` beside this one."""
    listing, *annotations = map(Path, sys.argv[1:])
    table = [{"title": title, "emoji": lines} for title, lines in groups(listing.read_text(), keywords(annotations))]
    target = Path(__file__).with_name("emoji.json")
    target.write_text(json.dumps(table, ensure_ascii=False, separators=(",", ":")).replace('","', '",\n"') + "\n")
    print(f"{sum(len(group['emoji']) for group in table)} emoji, {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
