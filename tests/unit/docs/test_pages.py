"""The documents: generated pages are fresh, links lead somewhere, every page is on the site, every reason is known."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

from gateway.contracts.tables import read_tables
from gateway.http.status import HANDSHAKE_FAILURES, HTTP_FAILURES
from gateway.reference.comments import Comments
from gateway.reference.frames import frame_types
from kit.contracts import installed_contracts
from stack.settings.model import SERVICES
from tests.documents import documents
from tests.running import ROOT

DOCS = ROOT / "docs"
_LINK = re.compile(r"\[[^\]]*\]\((?P<to>[^)\s]+)\)")
_REASON = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
_NOT_REASONS = {"IGNORE_ALWAYS", "OVERWRITE_IF_EXISTS_OR_ADD"}  # values of enums of protovalidate and Envoy
_REFUSALS = ("Refuse", "HandshakeError", "refused")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def program(name: str) -> ModuleType:
    """One of the programs in docs/, which is no package."""
    spec = spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = program("generate")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in _LINK.finditer(_CODE.sub("", page.read_text("utf-8"))):
        file, _, anchor = link["to"].partition("#")
        if link["to"].startswith(("http://", "https://")):
            continue
        target = page if not file else page.parent / file
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link["to"])
    return wrong


def test_generated_pages_are_fresh() -> None:
    # In a process of its own: in this one there may be metrics of other tests.
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_a_target(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_detected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n\n[a](#one-thing) [b](#another) [c](page.md) [d](nowhere.md) `[e](code.md)`\n")
    assert broken(page) == ["#another", "nowhere.md"]


def test_every_page_is_on_the_site() -> None:
    def pages(entry: Any) -> set[str]:
        if isinstance(entry, str):
            return {entry}
        return set().union(*(pages(one) for one in (entry.values() if isinstance(entry, dict) else entry)))

    shown = pages(tomllib.loads(program("site").configuration())["project"]["nav"])
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {name for name in there if not name.startswith("adr/")} <= shown
    assert shown <= there | {"adr/index.md"}


def reasons_on_the_page() -> set[str]:
    return set(re.findall(r"`([A-Z_]+)`", (DOCS / "reference" / "errors.md").read_text("utf-8")))


def reasons_in_code() -> set[str]:
    """Every text of production code in the form of a reason with two parts or more."""
    files = [path for name in ("kit", *SERVICES) for path in sorted((ROOT / name).rglob("*.py"))]
    texts = {
        node.value
        for path in (*files, ROOT / "stack" / "envoy" / "replies.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REASON.fullmatch(node.value)
    }
    return texts - set(grpc.StatusCode.__members__) - _NOT_REASONS


def test_every_reason_in_the_code_is_on_the_page_of_errors() -> None:
    assert {"ACCESS_DENIED", "TOO_MANY_IDLE", "ANOTHER_USER", "NODE_UNREACHABLE"} <= reasons_in_code()
    assert reasons_in_code() - reasons_on_the_page() == set()


def test_every_reason_in_a_comment_is_an_answered_one() -> None:
    comments = Comments([installed_contracts()])
    stated = {one.reason for frame in frame_types(read_tables(), comments) for one in frame.failures(comments)}
    single = {reason for table in GENERATE.error_tables() for _, reason in table.values()}
    assert stated - {""} - single - reasons_in_code() == set()


@pytest.mark.parametrize("path", sorted((ROOT / "gateway").rglob("*.py")), ids=lambda path: path.stem)
def test_a_refused_request_has_the_status_that_the_page_has(path: Path) -> None:
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _REFUSALS:
            status, reason = (one.value if isinstance(one, ast.Constant) else None for one in call.args[:2])
            if isinstance(status, int) and isinstance(reason, str) and reason not in ("DRAINING", "INTERNAL"):
                assert {**HTTP_FAILURES, **HANDSHAKE_FAILURES}[reason].status == status


def test_the_quickstart_and_the_readme_use_different_targets() -> None:
    def targets(name: str) -> set[str]:
        return set(re.findall(r"\b(?:messages|posts)/\d+", (ROOT / name).read_text("utf-8")))

    shared = targets("README.md") & targets("docs/quickstart.md")
    assert shared == set()


def test_the_page_of_frames_states_how_a_socket_is_opened() -> None:
    page = (DOCS / "reference" / "frames.md").read_text("utf-8")
    for part in ("GET /ws/connect", "plaudit.v1.json", "bearer.<token>", "Authorization: Bearer <token>"):
        assert part in page
