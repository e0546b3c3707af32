"""The names in the documents: files, definitions, rpcs, tests and terms exist."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documents import documents
from tests.running import ROOT

ARCHITECTURE, GLOSSARY = ROOT / "docs" / "architecture.md", ROOT / "docs" / "glossary.md"
_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_TERM = re.compile(r"\*\*([^*\n]+)\*\*")
_PATH = re.compile(r"(?:[\w.-]+/)+(?:[\w-]+\.(?:py|js|proto|sql|cql|lua))?")
_DEFINITION = re.compile(r"(?P<path>[\w./-]+\.(?:py|js))::(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_TEST = re.compile(r"test_\w+")
_TEST_DEFINITION = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_CODE_FILES = ("*.py", "*.js", "*.proto", "*.lua", "*.sql", "*.cql")


def quoted(page: str) -> list[str]:
    """The texts between backticks of a page, outside of its blocks of code."""
    return _CODE.findall(_BLOCK.sub("", page))


@cache
def code_files() -> tuple[Path, ...]:
    """The production code and the contracts, without what is generated."""
    listed = subprocess.run(["git", "ls-files", *_CODE_FILES], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if not name.startswith(("tests/", "gen/", "docs/", "bench/"))]
    return tuple(ROOT / name for name in names)


@cache
def all_code() -> str:
    return "\n".join(path.read_text("utf-8") for path in code_files() if path.is_file())


@cache
def words_of_code() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", all_code()))


@cache
def definitions(path: Path) -> frozenset[str]:
    """The names that a Python file defines, those in classes with the name of the class."""
    return frozenset(_defined(ast.parse(path.read_text("utf-8")).body))


def _defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield node.name
            yield from (f"{node.name}.{name}" for name in _defined(node.body))
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@cache
def rpcs_and_messages() -> frozenset[str]:
    """`Service.Rpc` and `package.Message` of the contracts."""
    found = set()
    for path in code_files():
        if path.suffix == ".proto":
            text = path.read_text("utf-8")
            package = re.findall(r"^package ([\w.]+);", text, re.MULTILINE)[0]
            found |= {f"{package}.{name}" for name in re.findall(r"^(?:message|enum) (\w+)", text, re.MULTILINE)}
            for service in re.split(r"^service ", text, flags=re.MULTILINE)[1:]:
                name = service.split()[0]
                found |= {f"{name}.{rpc}" for rpc in re.findall(r"^  rpc (\w+)\(", service, re.MULTILINE)}
    return frozenset(found)


def is_known(name: str) -> bool:
    """Whether a text between backticks names something that exists; a text of another form is not judged."""
    definition = _DEFINITION.fullmatch(name)
    if definition is not None:
        path = ROOT / definition["path"]
        return path.is_file() and definition["name"] in definitions(path)
    if _PATH.fullmatch(name):
        return (ROOT / name).exists() or any(f"/{name}" in str(path) for path in code_files())
    if _DOTTED.fullmatch(name):
        return name in rpcs_and_messages() or name in all_code() or any(path.name == name for path in code_files())
    return re.fullmatch(r"\w+", name) is None or name in words_of_code()


@pytest.mark.parametrize("page", [ARCHITECTURE, GLOSSARY], ids=lambda page: page.stem)
def test_every_name_on_a_page_about_the_code_exists(page: Path) -> None:
    names = quoted(page.read_text("utf-8"))
    assert sum(_DEFINITION.fullmatch(name) is not None for name in names) > 40
    assert [name for name in names if not is_known(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "kit/nowhere.py",
        "kit/nowhere/",
        "kit/clock.py::Nothing",
        "kit/clock.py::SystemClock.nothing",
        "ReactionService.Nothing",
        "no_such_name_anywhere",
    ],
)
def test_a_name_that_does_not_exist_is_detected(name: str) -> None:
    assert not is_known(name)


def files_on(page: Path) -> set[str]:
    """The source files of this repository that a page names, with or without a definition in them."""
    paths = (name.partition("::")[0] for name in quoted(page.read_text("utf-8")))
    return {
        path
        for path in paths
        if _PATH.fullmatch(path) and not path.endswith("/") and (ROOT / path.partition("/")[0]).is_dir()
    }


def test_every_source_file_that_a_document_names_exists() -> None:
    pages = [page for page in documents() if page.name != "CHANGELOG.md" and "adr" not in page.parts]
    missing = {(page.name, path) for page in pages for path in files_on(page) if not (ROOT / path).is_file()}
    assert missing == set()


@cache
def names_of_tests() -> frozenset[str]:
    files = (*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests" / "contract").rglob("*.py"))
    return frozenset(name for path in files for name in _TEST_DEFINITION.findall(path.read_text("utf-8")))


def missing_tests(text: str) -> set[str]:
    """The names of tests in a document that no test has; those of files are checked above."""
    return {name for name in quoted(text) if _TEST.fullmatch(name)} - names_of_tests()


def test_every_test_that_a_document_names_exists() -> None:
    pages = [page for page in documents() if page.name != "CHANGELOG.md"]
    assert {(page.name, name) for page in pages for name in missing_tests(page.read_text("utf-8"))} == set()


def test_a_test_that_does_not_exist_is_detected() -> None:
    text = "`test_a_test_that_does_not_exist_is_detected` and `test_without_a_function`"
    assert missing_tests(text) == {"test_without_a_function"}


def test_every_term_of_the_glossary_is_in_the_code() -> None:
    terms = _TERM.findall(GLOSSARY.read_text("utf-8"))
    assert len(terms) > 70
    text = re.sub(r"[\s_*\"#/]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", all_code())).lower()
    assert [term for term in terms if term.lower() not in text] == []


def test_no_term_is_in_the_glossary_twice() -> None:
    terms = [term.lower() for term in _TERM.findall(GLOSSARY.read_text("utf-8"))]
    assert [term for term in set(terms) if terms.count(term) > 1] == []
