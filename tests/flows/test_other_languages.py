"""The examples in Go, TypeScript and Java, with what docs/other-languages.md says to type."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.documents import blocks
from tests.flows.people import target
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
_COMPILERS = {"go": ("go",), "typescript": ("node", "npm"), "java": ("javac", "mvn")}


@pytest.mark.parametrize("language", _DOWNLOADS)
def test_a_service_in_another_language_reacts(language: str, shared_stack: Stack, tmp_path: Path) -> None:
    if language == "java" and ALL not in os.environ:
        pytest.skip("`make languages` runs it: Maven and the compiler take most of a minute")
    for program in _COMPILERS[language]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    [block] = [one for one in blocks(ROOT / "docs" / "other-languages.md") if f"cd examples/{language}\n" in one.text]
    message = target()
    with ExitStack() as leaving:
        reader = Reader(tmp_path / "checkout", lambda: shared_stack, leaving)
        download(_DOWNLOADS[language], reader.folder / "examples" / language)
        said = reader.run(block, needs=["server"], seconds=_SECONDS, replaced={"messages/42": message})
    assert re.findall(r"👍 [\w: ]+", said) == ["👍 is on: true", "👍 1"]


def download(command: list[str], folder: Path) -> None:
    """Skips where what the example is made with cannot be had."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{' '.join(command)}` took more than {_SECONDS} s")
    if done.returncode:
        pytest.skip(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout)[-300:]}")
