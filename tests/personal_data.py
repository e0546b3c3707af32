"""What the schemas say of personal data: a comment above each table, `-- personal data: …`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
NONE, IDS, CONTENTS, ERASED, TEMPORARY, UNUSED = "none", "ids", "contents", "erased", "temporary", "unused"
EVIDENCE = "evidence"
"""No personal data; ids of users that stay; rows that stay without contents; rows that are deleted; what time alone
deletes; tables of a version before; what moderators have to account for, which stays without erased reporters."""
KINDS = frozenset({NONE, IDS, CONTENTS, ERASED, TEMPORARY, UNUSED, EVIDENCE})
_TABLE = re.compile(
    r"(?:^-- personal data: (?P<kind>\w+)(?:; exported as (?P<types>[\w, ]+))?\n)?"
    r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(?P<name>\w+)",
    re.MULTILINE | re.IGNORECASE,
)


class TableRule(NamedTuple):
    """What becomes of the personal data in a table. `kind` is "" where the schema does not say it; `types`: the
    messages as which its rows are exported."""

    table: str
    kind: str
    types: frozenset[str]


def rules_in(text: str) -> list[TableRule]:
    """The rules of the tables of a schema."""
    return [
        TableRule(found["name"], found["kind"] or "", frozenset((found["types"] or "").split(", ")) - {""})
        for found in _TABLE.finditer(text)
    ]


def table_rules() -> list[TableRule]:
    """The rules of all tables of services and of the kit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.sql", "*.cql"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.split("/")[0] not in ("tests", "bench")]
    return [rule for path in paths for rule in rules_in(path.read_text("utf-8"))]
