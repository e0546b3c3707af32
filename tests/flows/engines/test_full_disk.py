"""A disk that becomes full under a running server: changes are refused, operators learn it, reads go on."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from engines.server import free_port
from tests.running import ROOT, STOP_SECONDS, Stack

PATH = "/api/messages/1/reactions"


def ask(stack: Stack, method: str, path: str) -> tuple[int, str]:
    """The status and body of an answer of the gateway."""
    headers = {"Authorization": f"Bearer {stack.token('alice')}"}
    request = urllib.request.Request(stack.http_url + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def fill(folder: Path) -> None:
    """Writes a file until the disk of the folder is full."""
    with (folder / "all").open("wb", buffering=0) as file:
        for size in (65536, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_full_disk_is_logged_and_counted_and_reads_continue(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount anything")
    port = free_port()
    stack = Stack(folder / "data", STATUS=f"127.0.0.1:{port}")
    up = [sys.executable, "-m", "stack.cli", "up", "--json"]
    script = f'mount -t tmpfs -o size=16m none {folder} && exec "$@"'
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, "sh", *up],
            env=stack.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert server.stdout is not None
        assert server.stdout.readline(), (tmp_path / "log").read_text()
        inside = Path(f"/proc/{server.pid}/root{folder}")  # the disk is mounted for the server alone
        stack.data = inside / "data"
        assert ask(stack, "PUT", PATH + "/%F0%9F%91%8D")[0] == 200
        fill(inside)
        status, body = 0, ""
        for number in range(200):  # until the space that the file has already is used up, too
            status, body = ask(stack, "PUT", PATH.replace("1", str(number)) + "/%F0%9F%91%8D")
            if status != 200:
                break
        assert status == 503
        assert "the change could not be saved; nothing was done" in body
        assert "disk is full" not in body
        assert ask(stack, "GET", PATH)[0] == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert 'plaudit_ledger_appends_total{outcome="failed"} 0.0' not in metrics
        assert 'plaudit_ledger_appends_total{outcome="failed"}' in metrics
        assert 'code="UNAVAILABLE",method="/plaudit.reaction.v1.ReactionService/' in metrics
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)
        server.stdout.close()  # type: ignore[union-attr]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line["event"] == "changes cannot be saved"]
    assert line["level"] == "error"
    assert "disk is full" in line["reason"]
