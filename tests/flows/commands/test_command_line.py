"""The `plaudit` command in a shell."""

from __future__ import annotations

import http.client
import json
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from kit.auth.keys import open_keys
from tests.running import Stack


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    return line


def test_reactions_are_made_and_counted_from_the_shell(shared_stack: Stack) -> None:
    made = shared_stack.run("react", "messages/shell", "👍", "--user", "dora", "--json")
    assert json.loads(made.stdout)["on"] is True
    shown = shared_stack.run("counts", "messages/shell", "posts/shell")
    assert shown.stdout.splitlines() == ["messages/shell  👍 1", "posts/shell  no reactions"]
    checked = shared_stack.run("check", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout)["wrong"] == []


def test_a_user_and_a_target_are_erased_by_the_command_after_a_confirmation(shared_stack: Stack) -> None:
    for user, target in (("erwin", "messages/e1"), ("erwin", "posts/e2"), ("dora", "messages/e1")):
        assert shared_stack.run("react", target, "👍", "--user", user).returncode == 0
    asked = shared_stack.run("erase", "person", "erwin")
    assert (asked.returncode, asked.stdout.strip()) == (1, "")
    assert "Erase all of erwin in tenant default? This cannot be undone." in asked.stderr
    assert shared_stack.run("counts", "messages/e1").stdout == "messages/e1  👍 2\n"
    erased = shared_stack.run("erase", "person", "erwin", "--yes", "--json")
    assert json.loads(erased.stdout) == {"user": "erwin", "tenant": "default", "erased": 2}
    shown = json.loads(shared_stack.run("counts", "messages/e1", "--json").stdout)
    assert shown["reactions"] == [{"emoji": "👍", "count": 1}]
    assert shared_stack.run("erase", "target", "messages/e1", "-y").stdout == "1 reactions on messages/e1 erased\n"
    assert shared_stack.run("counts", "messages/e1").stdout == "messages/e1  no reactions\n"
    assert "INVALID_TARGET" in last_line(shared_stack.run("erase", "target", "kitchens/1", "-y"))
    assert json.loads(shared_stack.run("check", "--json").stdout)["wrong"] == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_without_emoji_is_shown_their_code_points(
    shared_stack: Stack, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    name = f"messages/plain-{encoding}"
    assert shared_stack.run("react", name, "🎉", "--user", "dora").returncode == 0
    shown = shared_stack.run("counts", name)
    assert (shown.returncode, shown.stderr) == (0, "")
    read = json.loads(shared_stack.run("counts", name, "--json").stdout)
    assert read["reactions"] == [{"emoji": "🎉", "count": 1}]
    assert shared_stack.run("--help").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("react", "kitchens/1", "👍"), "INVALID_TARGET"),
        (("react", "messages/1", "thumbs"), "INVALID_EMOJI"),
        (("counts", "nonsense"), "INVALID"),
        (("token", "mint", "not a name"), "names are"),
    ],
)
def test_a_failure_is_reported_in_one_line(shared_stack: Stack, arguments: tuple[str, ...], said: str) -> None:
    assert said in last_line(shared_stack.run(*arguments))


def test_a_command_without_a_running_system_prints_what_to_do(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    assert "plaudit up" in last_line(stack.run("counts", "messages/1"))


def test_a_command_creates_no_keys_where_no_system_runs(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    for arguments in (("react", "messages/1", "👍"), ("counts", "messages/1"), ("token", "mint", "alice")):
        assert f"no keys in {stack.data / 'keys'}" in last_line(stack.run(*arguments))
    assert not stack.data.exists()


def test_stored_files_are_readable_by_their_owner_only(stack: Stack) -> None:
    assert {path.relative_to(stack.data).parts[0] for path in stack.data.rglob("*")} >= {"keys", "reactions.db"}
    assert stat.S_IMODE(stack.data.stat().st_mode) == 0o700
    for path in stack.data.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} is {mode:o}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reactions.db", b"this is no database, but it is longer than the header of one is" * 20),
        ("reactions.db", None),
        ("keys/signing.pem", b""),
        ("keys/signing.pem", b"garbage"),
        ("keys/signing.pem", None),
        ("keys/another.pub.pem", b"garbage"),
    ],
)
def test_data_that_cannot_be_used_is_named_in_one_line(tmp_path: Path, name: str, content: bytes | None) -> None:
    stack = Stack(tmp_path / "data")
    path = stack.data / name
    if path.name != "signing.pem":
        open_keys(stack.data / "keys")  # the others are as they should be
    (path.parent if content is not None else path).mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    assert str(path) in last_line(stack.run("up"))
    assert content is None or path.read_bytes() == content


def test_settings_that_cannot_be_read_are_named_in_one_line(tmp_path: Path) -> None:
    settings = tmp_path / "plaudit.toml"
    settings.write_text("demo = ")
    assert str(settings) in last_line(Stack(tmp_path / "data").run("up", "--config", str(settings)))


def test_a_port_in_use_is_named(shared_stack: Stack, tmp_path: Path) -> None:
    second = Stack(tmp_path / "data")
    second.grpc_address = shared_stack.grpc_address
    assert shared_stack.grpc_address in last_line(second.run("up"))
    third = Stack(tmp_path / "data")
    third.http = shared_stack.http
    assert shared_stack.http.rpartition(":")[2] in last_line(third.run("up"))


def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    with stack:
        stack.run("react", "messages/1", "👍")
    with apsw.Connection(str(stack.data / "reactions.db")) as connection:
        connection.execute("UPDATE plaudit_schema SET version = 999")
    assert "999" in last_line(stack.run("up"))


def test_a_demo_is_for_this_machine_only(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    assert "loopback" in last_line(stack.run("up", "--demo", "--http", "0.0.0.0:0"))


@contextmanager
def running(stack: Stack) -> Iterator[tuple[str, int]]:
    """Host and port of a stack that runs for the block."""
    stack.start()
    try:
        host, _, port = stack.http.partition(":")
        yield host, int(port)
    finally:
        stack.stop()


def test_a_demo_issues_no_token_to_pages_whose_host_only_resolves_to_this_machine(tmp_path: Path) -> None:
    with running(Stack(tmp_path / "data", DEMO="true")) as (host, port):

        def ask(method: str, path: str, name: str, **more: str) -> tuple[int, str]:
            with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
                connection.request(method, path, headers={"Host": name, **more}, body='{"user": "eve"}')
                answer = connection.getresponse()
                return answer.status, answer.read().decode()

        page = {"Content-Type": "application/json", "Origin": f"http://evil.example:{port}"}
        status, text = ask("POST", "/api/v1/dev/token", f"evil.example:{port}", **page)
        assert (status, "BAD_HOST" in text) == (400, True)
        assert ask("GET", "/api/v1/dev", f"evil.example:{port}") == (200, '{"tokens":false}')
        for name in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST"):
            own = page | {"Origin": f"http://{name}"}
            assert ask("POST", "/api/v1/dev/token", name, **own)[0] == 200
        for origin in (f"http://evil.example:{port}", "null", "file://"):
            status, text = ask("POST", "/api/v1/dev/token", f"localhost:{port}", **page | {"Origin": origin})
            assert (status, "ORIGINS" in text) == (403, True), origin


def test_hosts_and_origins_may_be_set_by_variables(tmp_path: Path) -> None:
    settings = {
        "GATEWAY__SOCKET__ORIGINS": "https://a.example, https://b.example",
        "GATEWAY__SOCKET__HOSTS": "chat.example",
    }
    with running(Stack(tmp_path / "data", **settings)) as (host, port):
        asked = {"Host": "chat.example", "Origin": "https://b.example", "Access-Control-Request-Method": "PUT"}
        with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
            connection.request("OPTIONS", "/api/messages/1/reactions/a", headers=asked)
            assert connection.getresponse().status == 204


def test_a_process_with_only_a_gateway_requires_the_address_of_the_registry(tmp_path: Path) -> None:
    assert "--registry" in last_line(Stack(tmp_path / "data").run("up", "--services", "gateway"))


def test_it_stops_cleanly_on_request(stack: Stack) -> None:
    assert stack.stop() == 0
