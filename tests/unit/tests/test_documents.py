"""What a document must say of its code blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import documents
from tests.documents import Block, blocks


@pytest.fixture(name="document")
def fixture_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    return tmp_path / "page.md"


def read(document: Path, text: str) -> Block:
    document.write_text(text)
    [block] = blocks(document)
    return block


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```\nx\n```\n", "page.md:1: the block has no language"),
        ("```sh\nls\n```\n", "page.md:1: nothing says how this sh block is tested. Put one line above it"),
        ("```go\npackage main\n```\n", "nothing says how this go block is tested"),
        ("<!-- needs: nothing -->\n```go\npackage main\n```\n", "page.md:2: a go block cannot run by itself"),
        ("<!-- needs: nothing -->\n\n```sh\nls\n```\n", "page.md:3: nothing says how"),
        ("```cobol\n+\n```\n", "`cobol` is none of"),
        ("<!-- run by: tests/none.py -->\n```sh\nls\n```\n", "there is no test tests/none.py"),
        ("<!-- from: main.go -->\n```go\nfunc main() { }\n```\n", "main.go has no such lines (any more)"),
    ],
)
def test_a_code_block_without_a_test_is_reported_with_what_to_add(document: Path, text: str, complaint: str) -> None:
    assert complaint in read(document, text).complaint()


@pytest.mark.parametrize(
    "text",
    [
        "```text\nx\n```\n",
        "```json\n{}\n```\n",
        "<!-- needs: server, curl -->\n```sh\ncurl x\n```\n",
        "<!-- not run: it takes an hour -->\n```sh\nmake soak\n```\n",
        "<!-- run by: main.go -->\n```sh\nls\n```\n",
        "<!-- from: main.go -->\n```go\nfunc main() {}\n```\n",
    ],
)
def test_a_code_block_that_states_how_it_is_tested_is_accepted(document: Path, text: str) -> None:
    assert read(document, text).complaint() == ""


def test_needs_are_read_and_an_indented_block_is_dedented(document: Path) -> None:
    block = read(
        document, "- an item\n\n  <!-- needs: server, ghz -->\n  ```sh\n  if true; then\n    ls\n  fi\n  ```\n"
    )
    assert (block.needs, block.text, block.line) == (["server", "ghz"], "if true; then\n  ls\nfi\n", 4)


def test_an_unterminated_code_block_is_reported(document: Path) -> None:
    document.write_text("# A page\n```sh\nls\n")
    with pytest.raises(ValueError, match=r"page\.md:2: the block does not end"):
        blocks(document)
