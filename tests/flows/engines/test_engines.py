"""Real servers: started, seen, stopped, killed and started again; what is in the way is said in one line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from engines import CannotStart
from engines.process import Identity, send, wait_gone
from engines.redis import Redis
from engines.server import free_port
from tests.engines import Engines
from tests.running import ROOT


def engines_command(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m engines`, as a user runs it."""
    command = [sys.executable, "-m", "engines", *arguments]
    if arguments[0] != "get":
        command += ["--data", str(data), "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def facts(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a command printed."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(name="data")
def fixture_data(engines: Engines, tmp_path: Path) -> Iterator[Path]:
    """A folder for servers that outlive their command; Redis can be had."""
    engines.server("redis")
    yield tmp_path / "engines"
    engines_command(tmp_path / "engines", "down")


def test_every_call_returns_a_new_namespace(engines: Engines) -> None:
    assert engines.redis() != engines.redis()
    assert engines.cassandra() != engines.cassandra()
    assert engines.kafka() != engines.kafka()


def test_a_server_runs_after_the_command_that_started_it_and_ends_with_down(data: Path) -> None:
    [up] = facts(engines_command(data, "up", "redis", "--free-ports"))
    with redis.Redis.from_url(up["url"]) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    [again] = facts(engines_command(data, "up", "redis"))
    assert again == up
    assert facts(engines_command(data, "status", "redis")) == [up]
    assert facts(engines_command(data, "down")) == [{"name": "redis", "state": "stopped"}]
    done = engines_command(data, "status", "redis")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "down"


def test_a_killed_server_is_detected_and_restarted(data: Path) -> None:
    [up] = facts(engines_command(data, "up", "redis", "--free-ports"))
    server = Redis(data / "redis")
    process = server.running()
    assert process is not None
    send(process, signal.SIGKILL)
    assert wait_gone(process, 10)
    [seen] = facts(engines_command(data, "status"))[:1]
    assert seen["state"] == "ended without being stopped"
    [again] = facts(engines_command(data, "up", "redis", "--port", f"redis={up['ports'][0]}"))
    assert again["url"] == up["url"]
    assert again["pid"] != up["pid"]


def test_down_does_not_stop_another_process_with_the_pid_of_a_server_that_has_ended(data: Path) -> None:
    server = Redis(data / "redis", free_port())
    server.start()
    kept = json.loads((data / "redis" / "server.json").read_text())
    server.kill()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        kept["process"]["pid"] = stranger.pid
        (data / "redis" / "server.json").write_text(json.dumps(kept))
        assert facts(engines_command(data, "down")) == [{"name": "redis", "state": "had ended already"}]
        assert stranger.poll() is None
        stranger.kill()


def test_a_port_in_use_is_one_clear_line(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = engines_command(data, "up", "redis", "--port", f"redis={port}")
    assert done.returncode == 1
    assert done.stderr == (
        f"engines: redis: port {port} is taken by another program; choose with --port redis=NUMBER\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "rediss"], "no engine is called 'rediss'"),
        (["up", "redis", "--port", "redis"], "it must be NAME=NUMBER"),
        (["up", "redis", "--port", "redis.advertised=7"], "redis has no such port"),
        (["up", "envoy"], "envoy: there is no configuration"),
    ],
)
def test_an_error_is_one_clear_line(data: Path, arguments: list[str], said: str) -> None:
    done = engines_command(data, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_data_in_use_by_another_process_is_refused(data: Path) -> None:
    server = Redis(data / "redis", free_port())
    server.start()
    process = server.running()
    assert process is not None
    with pytest.raises(CannotStart, match=rf"the data in {data}/redis is in use by process {process.pid}"):
        Redis(data / "redis", free_port()).start()
    assert server.running() == process
    assert server.answers()
    server.stop()


def test_get_prints_the_paths_of_programs(data: Path) -> None:
    done = engines_command(data, "get", "redis")
    assert done.returncode == 0
    assert "redis-server" in done.stdout


def test_a_server_that_ends_immediately_is_reported_with_its_last_output(tmp_path: Path, engines: Engines) -> None:
    engines.server("redis")

    class Broken(Redis):
        def command(self) -> list[str]:
            return [*super().command(), "--no-such-setting", "1"]

    with pytest.raises(CannotStart, match=r"redis ended with 1: .*\(log: .*redis\.log\)"):
        Broken(tmp_path / "redis", free_port()).start()


def test_servers_of_a_test_end_with_the_process_that_runs_it(tmp_path: Path, engines: Engines) -> None:
    engines.server("redis")
    script = f"""if True:
        import engines, pathlib, sys
        with engines.running(["redis"], pathlib.Path({str(tmp_path)!r})) as servers:
            servers["redis"].kill()
            servers["redis"].start()
            print(servers["redis"].log.parent / "server.json", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        kept = json.loads(Path(tests.stdout.readline().strip()).read_text())
        os.kill(tests.pid, signal.SIGKILL)
    assert wait_gone(Identity(**kept["process"]), 10)


def test_postgresql_has_its_data_after_a_restart(engines: Engines) -> None:
    server = engines.server("postgresql")
    psql = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", server.url, "-c"]
    subprocess.run([*psql, "create table kept (n int); insert into kept values (7)"], check=True, capture_output=True)
    assert server.stop()
    server.start()
    done = subprocess.run([*psql, "select n from kept"], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "7"
