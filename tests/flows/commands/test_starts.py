"""A start that fails says why in one line, with exit code 1; a data folder is for one system at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.running import ROOT, Stack

SECONDS = 60
UP = (sys.executable, "-m", "stack.cli", "up", "--json")


def refused(data: Path, command: Sequence[str] = UP, **settings: str) -> str:
    """What a start that fails says: exactly one line."""
    environment = Stack(data, **settings).environment
    ended = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("plaudit: ")
    return line


def _a_file(data: Path) -> None:
    data.write_bytes(b"")


def _key(content: bytes, name: str = "signing.pem") -> Callable[[Path], None]:
    def make(data: Path) -> None:
        (data / "keys").mkdir(parents=True)
        file = data / "keys" / name
        file.touch(mode=0o600)  # or there is a warning, too
        file.write_bytes(content)

    return make


def _a_folder(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_a_file, "Not a directory"),
        (_key(b"garbage"), "signing.pem is not an Ed25519 private key"),
        (_key(b""), "signing.pem is not an Ed25519 private key"),
        (_key(b"", "cursor.key"), "cursor.key is not a key of 32 bytes"),
        (_a_folder("keys/cursor.key"), "Is a directory"),
        (_a_folder("reactions.db"), "reactions.db cannot be used: Is a directory"),
    ],
    ids=["a file", "garbage as key", "an empty key", "an empty secret", "a folder as secret", "a folder as database"],
)
def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    data = tmp_path / "data"
    make(data)
    line = refused(data)
    assert said in line
    assert str(data) in line


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ("mount -t tmpfs none {folder} && mount -o remount,ro {folder}", "Read-only file system"),
        ("mount -t tmpfs -o size=64k none {folder}", "disk is full"),
        ("mount -t tmpfs -o size=64k none {folder} && cat /dev/zero >{folder}/all 2>/dev/null; true", "No space left"),
    ],
    ids=["read-only", "full later", "full"],
)
def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path, mount: str, said: str) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount anything")
    script = f'{mount.format(folder=folder)} && exec "$@"'
    line = refused(folder / "data", ["unshare", "-m", "sh", "-c", script, "sh", *UP])
    assert said in line
    assert str(folder) in line


@pytest.fixture(name="taken")
def fixture_taken() -> Iterator[str]:
    """An address where something else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


@pytest.mark.parametrize("setting", ["HTTP", "GRPC", "STATUS"])
def test_an_address_in_use_is_named(tmp_path: Path, taken: str, setting: str) -> None:
    assert f"cannot listen on {taken}" in refused(tmp_path / "data", **{setting: taken})


@pytest.mark.parametrize("setting", ["HTTP", "GRPC"])
def test_an_address_of_another_machine_is_named(tmp_path: Path, setting: str) -> None:
    line = refused(tmp_path / "data", **{setting: "203.0.113.7:8080"})  # for documentation, see RFC 5737
    assert "cannot listen on 203.0.113.7:8080: Cannot assign requested address" in line


@pytest.mark.parametrize(
    ("setting", "value"),
    [("HOT", "redis://127.0.0.1:9/0"), ("RECORDS", "mysql://db/plaudit")],
    ids=["unreachable", "another engine"],
)
def test_an_engine_that_cannot_be_used_is_named_by_its_setting(tmp_path: Path, setting: str, value: str) -> None:
    assert f"PLAUDIT_{setting}: " in refused(tmp_path / "data", **{setting: value})


def test_a_data_folder_is_for_one_system_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Stack(data) as first:
        line = refused(data)
        assert f"the data folder {data} is in use: process {first.pid} uses it" in line
        # Commands are no systems.
        assert first.run("token", "mint", "alice").returncode == 0
        assert first.run("react", "messages/1", "👍").returncode == 0
        assert first.run("check").returncode == 0
        # A process that is killed leaves no lock.
        first.kill()
        with Stack(data) as second:
            assert f"process {second.pid} uses it" in refused(data)
            assert "👍 1" in second.run("counts", "messages/1").stdout
            second.stop()
    with Stack(data):
        assert os.path.exists(data / "reaction_svc.lock")


def started_and_stopped(data: Path, **settings: str) -> list[dict[str, object]]:
    """The log of a start and a stop of a process that may have 1,024 descriptors."""
    with subprocess.Popen(
        ["sh", "-c", 'ulimit -n 1024 && exec "$@"', "sh", *UP],
        env=Stack(data, **settings).environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.terminate()
            _, lines = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0
    return [json.loads(line) for line in lines.splitlines()]


def test_a_start_and_a_stop_log_no_warnings_or_errors(tmp_path: Path) -> None:
    log = started_and_stopped(tmp_path / "data", LOG="info")
    assert [line for line in log if line["level"] != "info"] == []
    events = [(str(line["event"]), line.get("service") or line.get("ledger"), line.get("topic")) for line in log]
    assert len(events) == len(set(events))
    assert [event for event, *_ in events if "missed" in event] == []
    assert events[-1] == ("stopped", None, None)


def test_only_a_number_of_connections_that_was_set_and_does_not_fit_is_logged(tmp_path: Path) -> None:
    (line,) = started_and_stopped(tmp_path / "data", SERVER__CONNECTIONS="4096")
    assert (line["level"], line["port"], line["wanted"]) == ("warning", "gRPC", 4096)
