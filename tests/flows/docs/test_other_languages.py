"""The examples in Go, TypeScript and Java, with what docs/other-languages.md says to type."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.documents import blocks
from tests.flows.clients import new_target
from tests.reader import Reader
from tests.running import ROOT, Stack

# Compilers and, the first time, downloads.
pytestmark = pytest.mark.timeout(420)

ALL = "TEST_ALL_LANGUAGES"
_SECONDS = 200
# What an example needs that may come over the network: it is in a cache of the user's from then on.
_DOWNLOADS = {
    "go": ["go", "mod", "download"],
    "typescript": ["npm", "ci", "--no-audit", "--no-fund"],
    "java": ["mvn", "-q", "-B", "initialize", "dependency:resolve"],
}
# What fails, with the program that is made by then.
_RUN_AGAIN = {
    "go": "go run . -address 127.0.0.1:50051 -target nope/1",
    "typescript": "node dist/src/react.js --url http://127.0.0.1:50051 --target nope/1",
}
_COMPILERS = {"go": ("go",), "typescript": ("node", "npm"), "java": ("javac", "mvn")}


@pytest.mark.parametrize("language", _DOWNLOADS)
def test_a_service_in_another_language_makes_a_reaction(language: str, shared_stack: Stack, tmp_path: Path) -> None:
    if language == "java" and ALL not in os.environ:
        pytest.skip("`make languages` runs it: Maven and the compiler take most of a minute")
    for program in _COMPILERS[language]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    page = [one for one in blocks(ROOT / "docs" / "other-languages.md") if one.language == "sh"]
    [token] = [one for one in page if "token mint" in one.text]
    [block] = [one for one in page if f"cd examples/{language}\n" in one.text]
    message = new_target()
    with ExitStack() as leaving:
        # Nothing else of the source tree: no other folder is looked into.
        reader = Reader(tmp_path / "checkout", lambda: shared_stack, leaving, tree=["gen/plaudit/plaudit.protoset"])
        download(_DOWNLOADS[language], reader.folder / "examples" / language)
        reader.run(token, needs=["server"])
        said = reader.run(block, needs=["server"], seconds=_SECONDS, replaced={"messages/42": message})
        assert re.findall(r"👍 [\w: ]+", said) == ["👍 is on: true", "👍 1"]
        if language in _RUN_AGAIN:
            again = dataclasses.replace(block, text=f"{_RUN_AGAIN[language]} 2>&1 || true\n")
            # The program reads the reason in the details of the error.
            failed = reader.run(again, needs=["server"], seconds=_SECONDS)
            assert "INVALID_TARGET: " in failed


def download(command: list[str], folder: Path) -> None:
    """Skips where what the example is made with cannot be had."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{' '.join(command)}` took more than {_SECONDS} s")
    if done.returncode:
        pytest.skip(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout)[-300:]}")
