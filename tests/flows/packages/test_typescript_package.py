"""The npm package of the TypeScript client: built, installed from its file, and used in a folder of its own."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from pathlib import Path

import pytest

from clients.bundle import find_problem
from tests.documents import blocks
from tests.flows.chat.typescript import BUNDLE, PACKAGE, require_packages, run
from tests.flows.clients import new_user
from tests.running import Stack

# Node compiles and, the first time, downloads.
pytestmark = pytest.mark.timeout(500)

_BUDGET = 40 * 1024


@pytest.fixture(name="installed", scope="module")
def fixture_installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed from its file."""
    require_packages()
    folder = tmp_path_factory.mktemp("npm")
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # buf is one of ours
    run(["npm", "run", "--silent", "build"], PACKAGE, programs)
    run(["npm", "pack", "--silent", "--pack-destination", str(folder)], PACKAGE)
    [package] = folder.glob("plaudit-client-*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run(["npm", "install", "--offline", "--no-audit", "--no-fund", str(package)], folder)
    return folder


def example(number: int) -> str:
    found = [block.text for block in blocks(PACKAGE / "README.md") if block.language == "js"]
    return found[number]


def node(folder: Path, script: str, stack: Stack, user: str) -> list[str]:
    (folder / "example.js").write_text(script)
    own = {"URL": stack.http_url, "TOKEN": stack.token(user)}
    return run(["node", "--experimental-websocket", "--no-warnings", "example.js"], folder, own).splitlines()


def test_the_command_of_make_clients_packs_the_client() -> None:
    require_packages()
    commands = run(["make", "--dry-run", "--always-make", "clients", "DIST=dist"], PACKAGE.parents[1]).splitlines()
    [pack] = [command for command in commands if command.startswith("npm") and " pack " in command]
    assert "plaudit-client-" in run([*pack.split(), "--dry-run"], PACKAGE.parents[1])


def test_the_example_of_the_readme_chats(installed: Path, shared_stack: Stack) -> None:
    said = node(installed, example(0).replace('"bob"', f'"{new_user("bob")}"'), shared_stack, new_user("alice"))
    assert said[0] == "pending Hello!"
    assert "sent Hello!" in said
    assert said[-1] == "INVALID_ARGUMENT INVALID_REQUEST"


def test_the_binary_subprotocol_calls(installed: Path, shared_stack: Stack) -> None:
    needed = installed / "node_modules" / "@bufbuild" / "protobuf"
    assert not needed.exists(), "the client itself needs no other package"
    shutil.copytree(PACKAGE / "node_modules" / "@bufbuild" / "protobuf", needed)
    try:
        assert node(installed, example(1), shared_stack, new_user("alice")) == ["0"]
    finally:
        shutil.rmtree(needed.parent)


def test_a_compiler_sees_the_types(installed: Path) -> None:
    (installed / "wrong.ts").write_text(
        'import { connect, type Message } from "plaudit-client";\n'
        'const client = connect("ws://host", async () => "token");\n'
        "export const state: string = client.state;\n"
        'export const status: Message["status"] = "seen";\n'
    )
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    with pytest.raises(AssertionError) as failed:
        run(["node", str(compiler), *options, "wrong.ts"], installed)
    [error] = [line for line in str(failed.value).splitlines() if "error TS" in line]
    assert error.startswith("wrong.ts(4,14)")


def test_the_unit_tests_of_the_client_pass() -> None:
    require_packages()
    run(["npm", "test", "--silent"], PACKAGE)


def test_the_bundle_of_the_page_is_fresh_and_small() -> None:
    require_packages()
    text = BUNDLE.read_text("utf-8")
    assert find_problem(text) == ""
    assert len(gzip.compress(text.encode())) <= _BUDGET
