"""plaudit-proto and plaudit-client: what they own, what they need, and that they work without this source tree."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from email.message import Message
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests.building import PROJECTS, clean_environment, environment_with, metadata
from tests.documents import blocks
from tests.running import ROOT, Stack

_GENERATED = ROOT / "gen" / "plaudit" / "reaction" / "v1"
# Every module of plaudit-proto, and after it another distribution's validation rules and its own `buf.validate`.
_BESIDE_OTHERS = """
import importlib, pathlib, sys
import plaudit
from google.protobuf import descriptor_pb2, descriptor_pool

root = pathlib.Path(list(plaudit.__path__)[0])
modules = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in root.rglob("*.py")]
assert "site-packages" in str(root) and len(modules) > 20, (root, modules)
for module in modules:
    importlib.import_module(module)
assert not [name for name in sys.modules if name.partition(".")[0] in ("buf", "protovalidate")]
other = descriptor_pb2.FileDescriptorProto(name="buf/validate/validate.proto", package="buf.validate")
other.message_type.add(name="OfAnotherVersion")
descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
"""


@pytest.fixture(name="programs", scope="module")
def fixture_programs(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has both packages, and not the server."""
    wheels = [packages["plaudit-proto"], packages["plaudit-client"]]
    return environment_with(wheels, tmp_path_factory.mktemp("callers") / "venv")


def needs(described: Message, extra: str = "") -> dict[str, Requirement]:
    """What a package requires: always, or for an extra."""
    requirements = map(Requirement, described.get_all("Requires-Dist", []))
    wanted = {extra: extra} if extra else {}
    return {
        one.name: one
        for one in requirements
        if (one.marker.evaluate({"extra": extra}) if one.marker and wanted else not one.marker)
    }


def lower_bound(requirement: Requirement) -> str:
    [bound] = [one.version for one in requirement.specifier if one.operator == ">="]
    return bound


def example(project: str, number: int = 0) -> str:
    """A Python block of its README."""
    return [block.text for block in blocks(PROJECTS[project] / "README.md") if block.language == "python"][number]


def test_no_file_belongs_to_two_packages(packages: dict[str, Path]) -> None:
    owned = Counter(chain.from_iterable(ZipFile(wheel).namelist() for wheel in packages.values()))
    assert [name for name, owners in owned.items() if owners > 1] == []


@pytest.mark.parametrize(("project", "folder"), [("plaudit-proto", "plaudit"), ("plaudit-client", "plaudit_client")])
def test_a_package_has_one_folder_with_types(packages: dict[str, Path], project: str, folder: str) -> None:
    names = ZipFile(packages[project]).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {folder}
    assert f"{folder}/py.typed" in names
    assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert (PROJECTS[project] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_packages_require_only_what_they_use(packages: dict[str, Path]) -> None:
    proto, client, server = (metadata(packages[name]) for name in PROJECTS)
    assert set(needs(proto)) == {"grpcio", "protobuf", "googleapis-common-protos"}
    assert set(needs(client)) == {"aiohttp"}
    assert str(needs(client, "grpc")["plaudit-proto"].specifier) == f"=={client['Version']}"
    for requirement in chain(needs(proto).values(), needs(client).values()):
        assert {one.operator for one in requirement.specifier} == {">=", "<"}, f"{requirement} is not a range"
    assert proto["Version"] == client["Version"] == server["Version"]
    for name in ("plaudit-proto", "plaudit-client"):
        assert str(needs(server)[name].specifier) == f"=={server['Version']}"


def test_the_lower_bounds_are_the_versions_that_made_the_code(packages: dict[str, Path]) -> None:
    stubs = (_GENERATED / "reaction_service_pb2_grpc.py").read_text("utf-8")
    messages = (_GENERATED / "reaction_service_pb2.py").read_text("utf-8")
    made = needs(metadata(packages["plaudit-proto"]))
    [grpcio] = re.findall(r"GRPC_GENERATED_VERSION = '(.+)'", stubs)
    [protobuf] = re.findall(r"# Protobuf Python Version: (.+)", messages)
    assert lower_bound(made["grpcio"]) == grpcio
    assert lower_bound(made["protobuf"]) == protobuf


def test_the_stubs_work_with_any_version_of_protovalidate(programs: Path, tmp_path: Path) -> None:
    run([str(programs / "python"), "-c", _BESIDE_OTHERS], tmp_path)


def test_a_service_reacts_with_plaudit_proto(programs: Path, shared_stack: Stack, tmp_path: Path) -> None:
    own = {"TOKEN": shared_stack.service_token(), "ADDRESS": shared_stack.grpc_address}
    (tmp_path / "example.py").write_text(example("plaudit-proto"), "utf-8")
    said = run([str(programs / "python"), "example.py"], tmp_path, own)
    assert re.fullmatch(r"(on|off) \{.*\}\n", said)


def test_a_user_reacts_with_plaudit_client(programs: Path, shared_stack: Stack, tmp_path: Path) -> None:
    own = {"TOKEN": shared_stack.token("alice"), "URL": f"ws://{shared_stack.http}"}
    (tmp_path / "example.py").write_text(example("plaudit-client"), "utf-8")
    said = run([str(programs / "python"), "example.py"], tmp_path, own).splitlines()
    assert said[0] in ("on for alice", "off for alice")
    assert said[-1] == "INVALID_ARGUMENT INVALID_EMOJI"


def test_a_user_chats_with_plaudit_client(programs: Path, shared_stack: Stack, tmp_path: Path) -> None:
    own = {"TOKEN": shared_stack.token("carol"), "URL": f"ws://{shared_stack.http}"}
    (tmp_path / "example.py").write_text(example("plaudit-client", 1), "utf-8")
    assert run([str(programs / "python"), "example.py"], tmp_path, own) == "Hello!\n"


@pytest.mark.parametrize("project", ["plaudit-proto", "plaudit-client"])
def test_a_type_checker_finds_the_types(programs: Path, tmp_path: Path, project: str) -> None:
    wrong = "ToggleReactionRequest(target=42)" if project == "plaudit-proto" else "connect(42, '')"
    (tmp_path / "example.py").write_text(f"{example(project)}\n{wrong}\n", "utf-8")
    options = ["--strict", "--cache-dir", str(tmp_path / "cache"), "--config-file", "", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, "--python-executable", str(programs / "python"), "example.py"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    [found] = done.stdout.splitlines()
    assert re.match(r"example\.py:\d+: error: Argument .+ has incompatible type \"int\"", found), done.stderr


def run(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> str:
    """What the command writes; it fails where that does, or where it warns."""
    environment = clean_environment(variables) | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
