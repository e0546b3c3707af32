"""A process without clients serves health, readiness and metrics over HTTP, too."""

from __future__ import annotations

import json
import platform
import re
import socket
import subprocess
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

import pytest

from engines.server import free_port
from tests.running import Stack


def get(port: int, path: str) -> tuple[int, bytes]:
    """The status and body of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_process_of_services_reports_its_status(tmp_path: Path) -> None:
    port = free_port()
    with Stack(tmp_path / "data", SERVICES="session_registry,reaction_svc", STATUS=f"127.0.0.1:{port}"):
        assert get(port, "/healthz") == (200, json.dumps({"status": "ok"}).encode())
        assert get(port, "/readyz")[0] == 200
        status, metrics = get(port, "/metrics")
        assert status == 200
        assert b"plaudit_registry_nodes 1.0" in metrics
        build = re.search(rb'^plaudit_build_info\{python="(.+)",revision="(.*)",version="(.+)"\} 1.0$', metrics, re.M)
        assert build is not None
        assert build[1].decode() == platform.python_version()
        assert build[3].decode() == version("plaudit")
        assert b"_created" not in metrics
        assert get(port, "/api/messages/42/reactions")[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


def test_a_status_port_in_use_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    with Stack(tmp_path / "one", STATUS=f"127.0.0.1:{free_port()}") as one:
        other = Stack(tmp_path / "other", STATUS=one.settings["STATUS"])
        done: subprocess.CompletedProcess[str] = other.run("up")
    assert done.returncode == 1
    assert done.stderr.startswith(f"plaudit: setting PLAUDIT_STATUS: cannot listen on {one.settings['STATUS']}")
    assert done.stderr.count("\n") == 1


def test_only_one_worker_uses_the_status_port(tmp_path: Path) -> None:
    port = free_port()
    with Stack(tmp_path / "data", WORKERS="2", STATUS=f"127.0.0.1:{port}"):
        assert get(port, "/readyz")[0] == 200


def test_systemd_is_notified_when_it_serves_and_when_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        stack = Stack(tmp_path / "data", WORKERS="2")
        stack.start()
        assert systemd.recv(100) == b"READY=1"
        stack.stop()
        assert systemd.recv(100) == b"STOPPING=1"
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)  # of the worker, which is not what systemd has started
