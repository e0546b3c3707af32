"""The page on erasure names every table of every service, so that a new one is thought of."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
_TABLE = re.compile(r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE | re.IGNORECASE)
_NAME = re.compile(r"`(\w+)`")


def tables() -> set[str]:
    """The tables of all schemas of services and of the kit."""
    listed = subprocess.run(["git", "ls-files", "*.sql", "*.cql"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.split("/")[0] not in ("tests", "bench")]
    return {table for path in paths for table in _TABLE.findall(path.read_text("utf-8"))}


def test_every_table_is_named_with_what_erases_it() -> None:
    page = (ROOT / "docs/erasure.md").read_text("utf-8")
    section = page.partition("## Which tables have personal data")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in _NAME.findall(row)}
    assert len(tables()) > 20
    assert named == tables()
