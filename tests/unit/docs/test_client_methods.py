"""The table of what the clients have names methods that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plaudit_client import Conversations
from plaudit_client.account import Account

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"`(\w+)`")


def names(column: int) -> list[str]:
    """The names in a column of the table."""
    text = (ROOT / "docs/guides/clients.md").read_text()
    section = text.split("## What the clients have", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    return [name for row in rows for name in NAME.findall(row[column])]


def public(*classes: type) -> set[str]:
    return {name for each in classes for name in dir(each) if not name.startswith(("_", "on_"))}


def test_the_python_client_has_what_the_table_names_and_the_table_has_all_of_it() -> None:
    assert set(names(2)) == public(Conversations, Account) - {"start", "close", "unsent"}


@pytest.mark.parametrize("name", names(3))
def test_the_typescript_client_has_what_the_table_names(name: str) -> None:
    folder = ROOT / "clients/ts/src/messages"
    text = "".join((folder / file).read_text() for file in ("messenger.ts", "commands.ts", "message_commands.ts"))
    assert re.search(rf"^  (?:async |get )?{name}\(", text, re.MULTILINE)
