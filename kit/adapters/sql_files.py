"""Files of named SQL statements."""

from __future__ import annotations

import re
from pathlib import Path

_COMMENT = re.compile(r"--.*")


def statements(script: Path) -> dict[str, str]:
    """Reads a `.sql` file of named statements: each begins with a line `-- name: xyz` and ends before the next."""
    found: dict[str, str] = {}
    for part in script.read_text(encoding="utf-8").split("-- name:")[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = " ".join(_COMMENT.sub("", body).split())
    return found
