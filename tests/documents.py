"""Code blocks of documents, and what each says above itself of how it is tested.

A block in a language that runs has one of these comments on the line above it; readers do not see them:

    <!-- needs: nothing -->                  it runs in a test unchanged
    <!-- needs: server, curl -->             it runs with a server, if `curl` is installed; see tests/reader.py
    <!-- run by: tests/flows/test_x.py -->   another test runs it already
    <!-- from: examples/go/main.go -->       it is a part of that file
    <!-- not run: takes half an hour -->     it cannot run in a test, for this reason

Blocks that only show something (a diagram, output) are `text`. JSON, TOML and YAML are read, and need no comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.running import ROOT

RUNS = frozenset({"sh", "python", "js"})
"""Languages of which a block can run by itself."""
PARTS = frozenset({"go", "java", "ts", "proto", "lua", "sql", "cql", "html", "css"})
"""Languages of which a block is a part of a file, or run by another test."""
DATA = frozenset({"json", "toml", "yaml"})
SHOWN = frozenset({"text"})
WAYS = ("needs", "run by", "from", "not run")

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>\S*)\s*$")
_COMMENT = re.compile(rf"^\s*<!-- (?P<way>{'|'.join(WAYS)}): (?P<value>.+?) -->\s*$")
_EXPLAINED = (
    "Put one line above it: `<!-- needs: nothing -->`, `<!-- needs: server -->`, `<!-- needs: server, ghz -->`, "
    "`<!-- run by: tests/… -->`, `<!-- from: <file> -->` or `<!-- not run: <why> -->`; see tests/documents.py."
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `way` and `value` are of the comment above it; empty without one."""

    document: Path
    line: int
    """Of the opening fence, from 1."""
    language: str
    text: str
    way: str = ""
    value: str = ""

    @property
    def place(self) -> str:
        """For messages: `docs/edge.md:17`."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def needs(self) -> list[str]:
        """What it needs to run; empty where it needs nothing, or does not run here."""
        words = [word.strip() for word in self.value.split(",")] if self.way == "needs" else []
        return [word for word in words if word != "nothing"]

    def complaint(self) -> str:
        """What its author must add; empty where nothing is missing."""
        if not self.language:
            return f"{self.place}: the block has no language; where it only shows something, that is `text`."
        if self.language not in RUNS | PARTS | DATA | SHOWN:
            known = ", ".join(sorted(RUNS | PARTS | DATA | SHOWN))
            return f"{self.place}: `{self.language}` is none of {known}; add it in tests/documents.py."
        if self.language in RUNS | PARTS and not self.way:
            return f"{self.place}: nothing says how this {self.language} block is tested. {_EXPLAINED}"
        if self.language in PARTS and self.way == "needs":
            return f"{self.place}: a {self.language} block cannot run by itself. {_EXPLAINED}"
        if self.way == "run by" and not (ROOT / self.value).is_file():
            return f"{self.place}: there is no test {self.value}."
        if self.way == "from" and self.text not in _content(self.value):
            return f"{self.place}: {self.value} has no such lines (any more)."
        return ""


def documents() -> list[Path]:
    """All documents for users and contributors."""
    folders = (ROOT / "docs", ROOT / "deploy", ROOT / "examples")
    inside = [path for folder in folders for path in folder.rglob("*.md") if "node_modules" not in path.parts]
    return sorted([*ROOT.glob("*.md"), ROOT / "gen" / "README.md", ROOT / "client" / "README.md", *inside])


def blocks(document: Path) -> list[Block]:
    """The blocks of a document, in its order. Raises ValueError where one does not end."""
    found: list[Block] = []
    lines = document.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        if opening := _FENCE.match(lines[number]):
            indent, closing = len(opening["indent"]), opening["indent"] + opening["fence"]
            try:
                end = lines.index(closing, number + 1)
            except ValueError:
                raise ValueError(f"{document.relative_to(ROOT)}:{number + 1}: the block does not end") from None
            comment = _COMMENT.match(lines[number - 1]) if number else None
            way, value = (comment["way"], comment["value"]) if comment else ("", "")
            text = "".join(f"{line[indent:]}\n" for line in lines[number + 1 : end])
            found.append(Block(document, number + 1, opening["language"], text, way, value))
            number = end
        number += 1
    return found


def _content(name: str) -> str:
    path = ROOT / name
    return path.read_text("utf-8") if path.is_file() else ""
