"""Every code block of the documents, run as a reader runs it: the blocks of a document in order, in one folder."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.documents import DATA, blocks, documents
from tests.reader import Reader
from tests.running import ROOT

pytestmark = pytest.mark.timeout(300)

_READ: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}
IDS = [str(path.relative_to(ROOT)) for path in documents()]


@pytest.fixture(name="reader")
def fixture_reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader with a fresh checkout."""
    with ExitStack() as leaving:
        yield Reader(tmp_path / "checkout", lambda: request.getfixturevalue("shared_stack"), leaving)


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_every_code_block_states_how_it_is_tested(document: Path) -> None:
    complaints = [complaint for block in blocks(document) if (complaint := block.complaint())]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("document", documents(), ids=IDS)
def test_the_code_of_a_document_works(document: Path, reader: Reader, subtests: pytest.Subtests) -> None:
    for block in blocks(document):
        if block.way == "needs":
            with subtests.test(block.place):
                reader.run(block)
        elif block.language in DATA and not block.way:
            with subtests.test(block.place):
                _READ[block.language](block.text)
