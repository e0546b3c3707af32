"""`plaudit mesh`: prints all addresses once it serves, and leaves no process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from engines.server import free_port
from tests.running import ROOT

pytestmark = pytest.mark.timeout(240)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")}
    return kept | {"PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "gen", "client"))}


def command(data: Path, https: str, http: str) -> list[str]:
    options = ["--no-engines", "--mtls", "--json", "--data", str(data), "--https", https, "--http", http]
    return [sys.executable, "-m", "stack.cli", "mesh", *options]


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def in_another_shell(env: str, asked: str) -> str:
    """What a command prints where the file of the mesh has been read."""
    script = f'. "$1" && exec "$2" -m stack.cli {asked}'
    done = subprocess.run(
        ["sh", "-c", script, "sh", env, sys.executable],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_all_processes_start_and_end_together(tmp_path: Path) -> None:
    https, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        command(tmp_path / "data", https, http), env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["page"] == f"https://{https}/"
        request = urllib.request.Request(
            f"{facts['plain_page']}api/messages/42/reactions/like",
            method="PUT",
            headers={"Authorization": f"Bearer {facts['token']}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["on"] is True
        for asked, expected in (
            ("react messages/43 👍 --user dora", "👍 on  👍 1"),
            ("counts messages/42 messages/43", "messages/42  👍 1\nmessages/43  👍 1"),
            ("check", "2 targets, 2 reactions, 0 wrong"),
            ("sessions dora", "not connected"),
        ):
            assert in_another_shell(facts["env"], asked) == expected
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 8  # two gateways, one of each service on files, Envoy
        titles = [Path(f"/proc/{child}/cmdline").read_text().strip("\0") for child in children]
        assert {"plaudit: gateway 1", "plaudit: gateway 2", "plaudit: reaction_svc 1"} <= set(titles)
        # As a terminal does it.
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
        assert not listens(https)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_port_in_use_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            command(tmp_path / "data", address, ""),
            env=environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"plaudit: cannot listen on {address}: something else does\n"
