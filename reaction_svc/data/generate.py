"""Writes `emoji.txt` beside itself: every form in which an emoji recommended for interchange (RGI) may be written.

The forms are those of Unicode's emoji-test.txt with status fully-qualified, minimally-qualified or unqualified, as the
package `emoji` carries them. Run with `pip install emoji` done, whenever Unicode has a new version:

    python reaction_svc/data/generate.py
"""

from __future__ import annotations

import importlib
from pathlib import Path

COMPONENT = 1  # statuses as the package numbers them
VARIATION_SELECTOR = "\ufe0f"


def main() -> None:
    """Generates the file and says what is in it."""
    package = importlib.import_module("emoji")
    rows = {form: row for form, row in package.EMOJI_DATA.items() if row["status"] != COMPONENT}
    forms = sorted(rows)
    keys = {form.replace(VARIATION_SELECTOR, "") for form in forms}
    newest = max(row["E"] for row in rows.values())
    header = (
        f"# Emoji {newest}: {len(forms)} forms of {len(keys)} emoji, from Unicode's emoji-test.txt (see generate.py)"
    )
    (Path(__file__).parent / "emoji.txt").write_text("\n".join([header, *forms, ""]), encoding="utf-8")
    print(header)


if __name__ == "__main__":
    main()
