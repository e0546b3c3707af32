"""Docker starts the same engines as `python -m engines`: the same versions, ports and settings."""

from __future__ import annotations

import shutil
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engines import cassandra, envoy, kafka, postgres, redis, toxiproxy
from engines.get import SETTINGS
from engines.group import KINDS
from stack.settings.model import PREFIX, load
from tests.running import ROOT

VERSIONS = {
    "redis": redis.VERSION,
    "kafka": kafka.VERSION,
    "cassandra": cassandra.VERSION,
    "postgresql": postgres.VERSION,
    "toxiproxy": toxiproxy.VERSION,
    "envoy": envoy.VERSION,
}


@pytest.fixture(name="services", scope="module")
def fixture_services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text("utf-8"))["services"]
    return services


def published(service: dict[str, Any]) -> set[int]:
    """The ports of the host."""
    return {int(port.split(":")[1]) for port in service.get("ports", ())}


def test_every_engine_is_in_the_file_and_scylladb_in_a_profile(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {*KINDS, "scylla", "migrate", "plaudit"}
    assert services["scylla"]["profiles"] == ["scylla"]
    assert "profiles" not in services["cassandra"]


@pytest.mark.parametrize("name", list(VERSIONS))
def test_the_versions_are_the_same(services: dict[str, dict[str, Any]], name: str) -> None:
    assert services[name]["image"].rpartition(":")[2].removeprefix("v") == VERSIONS[name].removeprefix("v")


@pytest.mark.parametrize("name", ["redis", "kafka", "cassandra", "postgresql"])
def test_the_ports_are_the_same(services: dict[str, dict[str, Any]], name: str) -> None:
    assert KINDS[name].default_port in published(services[name])


def test_toxiproxy_listens_where_the_engines_have_it(services: dict[str, dict[str, Any]]) -> None:
    assert f"-port={KINDS['toxiproxy'].default_port}" in services["toxiproxy"]["command"]


def test_ports_are_bound_to_this_machine_only_and_each_once(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    for name in ("toxiproxy", "envoy"):  # on the host's own network, which they say themselves
        assert services[name]["network_mode"] == "host"


def test_kafka_has_the_same_configuration(services: dict[str, dict[str, Any]]) -> None:
    server = kafka.Kafka(Path("/data"))
    text = string.Template((SETTINGS / "kafka.properties").read_text("utf-8"))
    lines = text.substitute(folder=server.folder, **server.settings()).splitlines()
    native = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    environment = services["kafka"]["environment"]
    machine = {"log.dirs", "num.network.threads", "num.io.threads", "log.segment.bytes"}
    machine |= {"log.cleaner.dedupe.buffer.size", "listeners", "controller.quorum.voters"}
    for key in native.keys() - machine:
        assert environment[f"KAFKA_{key.replace('.', '_').upper()}"] == native[key], key
    assert f"DIRECT://:{server.port},PROXIED://:{server.upstream_port}," in environment["KAFKA_LISTENERS"]
    assert environment["KAFKA_HEAP_OPTS"] == f"-Xmx{kafka.HEAP}"


def test_cassandra_and_redis_have_the_same_configuration(services: dict[str, dict[str, Any]]) -> None:
    values = cassandra.Cassandra(Path("/data")).values()
    text = string.Template((SETTINGS / "cassandra.yaml").read_text("utf-8"))
    native = yaml.safe_load(text.substitute(values))
    command = services["cassandra"]["command"][-1]
    for key in ("commitlog_sync", "read_request_timeout", "write_request_timeout"):
        assert f"{key}: {native[key]}/" in command, key
    ours = redis.Redis(Path("/data")).command()
    theirs = services["redis"]["command"]
    for option in ("--save", "--appendonly", "--maxmemory", "--maxmemory-policy"):
        assert theirs[theirs.index(option) + 1] == ours[ours.index(option) + 1], option


@pytest.mark.parametrize("name", ["migrate", "plaudit"])
def test_plaudit_finds_the_engines_and_has_no_rights_it_does_not_need(
    services: dict[str, dict[str, Any]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = services[name]
    for variable, value in service["environment"].items():
        assert variable.startswith(PREFIX)
        monkeypatch.setenv(variable, value)
    settings = load()
    for engine, url in (
        ("cassandra", settings.records),
        ("redis", settings.hot),
        ("kafka", settings.events),
        ("postgresql", settings.users),
    ):
        assert int(url.rpartition(":")[2].partition("/")[0]) in published(services[engine])
        assert "healthcheck" in services[engine]
    assert (service["read_only"], service["cap_drop"], service["network_mode"]) == (True, ["ALL"], "host")
    assert f":{services['plaudit']['image'].rpartition(':')[2]} " in (ROOT / "deploy/Containerfile").read_text("utf-8")


def test_plaudit_listens_on_this_machine_only_and_has_time_to_stop(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = services["plaudit"]
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load()
    assert all(address.startswith("127.0.0.1:") for address in (settings.http, settings.grpc, settings.status))
    assert f"http://{settings.status}/readyz" in service["healthcheck"]["test"][-1]
    assert int(service["stop_grace_period"].removesuffix("s")) > settings.grace_seconds
    assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["command"] == ["migrate"]


def test_the_schema_of_compose_files_accepts_the_files() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(ROOT / "deploy/compose.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_compose_accepts_the_files() -> None:
    program = shutil.which("docker-compose")
    docker = shutil.which("docker")
    plugin = [docker, "compose"] if docker is not None else []
    known = bool(plugin) and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    command = plugin if known else [program] if program is not None else []
    if not command:
        pytest.skip("docker compose is not on this machine")
    file = str(ROOT / "deploy/compose.yaml")
    subprocess.run([*map(str, command), "-f", file, "--profile", "*", "config", "--quiet"], check=True)
