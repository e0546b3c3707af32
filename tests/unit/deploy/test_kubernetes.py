"""The manifests fit the program: settings it accepts, ports it listens on, time to drain; and each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.engine_url import parse
from stack.planning.inputs import Inputs
from stack.process.stopping import FORCE_SECONDS
from stack.settings.model import PREFIX, SERVICES, Settings, load
from tests.unit.deploy.manifests import FOLDER, Manifest, container, environment, load_all, named, pods

GRPC_SERVICES = ("session-registry", "reaction-svc", "message-svc", "counter-svc", "fanout-svc")
PROCESSES = (*GRPC_SERVICES, "gateway")
ON_PARTITIONS = ("counter-svc", "fanout-svc")
PRE_STOP_SECONDS = 5


@pytest.fixture(name="manifests", scope="module")
def fixture_manifests() -> list[Manifest]:
    return load_all()


def settings_of(name: str, manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that process starts with; BadSettings where it would not."""
    for variable, value in environment(pods(manifests)[name], manifests).items():
        if variable.startswith(PREFIX):
            monkeypatch.setenv(variable, value)
    return load()


def test_each_service_has_its_own_pods(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    services = [settings_of(name, manifests, monkeypatch).services for name in PROCESSES]
    assert sorted(services) == sorted((service,) for service in SERVICES)


@pytest.mark.parametrize("name", [*PROCESSES, "plaudit-migrate"])
def test_the_program_accepts_every_setting(
    manifests: list[Manifest], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name, manifests, monkeypatch)
    assert settings.records
    assert settings.hot
    assert settings.events
    unknown = [one for one in environment(pods(manifests)[name], manifests) if not one.startswith((PREFIX, "POD_IP"))]
    assert not unknown


@pytest.mark.parametrize("name", PROCESSES)
def test_the_ports_are_those_the_process_listens_on(
    manifests: list[Manifest], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name, manifests, monkeypatch)
    ports = {port["name"]: port["containerPort"] for port in container(pods(manifests)[name])["ports"]}
    wanted = {"grpc": settings.grpc, "status": settings.status}
    if name == "gateway":
        wanted["http"] = settings.http
    assert ports == {kind: int(address.rpartition(":")[2]) for kind, address in wanted.items()}
    assert all(address.startswith("0.0.0.0:") for address in wanted.values())
    assert settings.advertise == f"10.1.2.3:{ports['grpc']}"
    scraped = pods(manifests)[name]["metadata"]["annotations"]["prometheus.io/port"]
    assert int(scraped) == ports["status"]


@pytest.mark.parametrize("name", PROCESSES)
def test_the_probes_use_the_served_paths(manifests: list[Manifest], name: str) -> None:
    one = container(pods(manifests)[name])
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    ready = {"httpGet": {"path": "/readyz", "port": "http"}} if name == "gateway" else {"grpc": {"port": ports["grpc"]}}
    for probe in ("startupProbe", "readinessProbe"):
        assert ready.items() <= one[probe].items(), probe
    assert one["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "status"}
    # Longer than a start on engines takes, shorter than an operator waits.
    assert 30 <= one["startupProbe"]["failureThreshold"] * one["startupProbe"]["periodSeconds"] <= 300


@pytest.mark.parametrize("name", PROCESSES)
def test_the_grace_of_a_pod_covers_its_drain(
    manifests: list[Manifest], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name, manifests, monkeypatch)
    pod = pods(manifests)[name]
    assert container(pod)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(PRE_STOP_SECONDS)]
    assert pod["spec"]["terminationGracePeriodSeconds"] > PRE_STOP_SECONDS + settings.grace_seconds + FORCE_SECONDS
    if name == "gateway":
        assert settings.gateway.reconnect_spread < settings.grace_seconds


def test_a_gateway_accepts_the_planned_connections_from_one_proxy(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = settings_of("gateway", manifests, monkeypatch).gateway
    assert gateway.socket.connections == Inputs().connections_per_gateway
    assert gateway.connections_per_address == gateway.socket.idle_per_address == gateway.socket.connections
    assert gateway.handshakes_share == 1
    request = container(pods(manifests)["gateway"])["resources"]["requests"]["memory"]
    planned = Inputs().gateway_base_mib + Inputs().connections_per_gateway * Inputs().kib_per_connection / 1024
    assert planned <= int(request.removesuffix("Gi")) * 1024


def test_the_registries_are_found_by_the_names_of_their_pods(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = named(manifests, "StatefulSet")["session-registry"]["spec"]
    service = named(manifests, "Service")[registry["serviceName"]]["spec"]
    assert service["clusterIP"] == "None"
    addresses = [f"session-registry-{n}.{registry['serviceName']}:50051" for n in range(registry["replicas"])]
    assert list(settings_of("gateway", manifests, monkeypatch).registries) == addresses


def test_pods_match_the_selectors_of_their_services(manifests: list[Manifest]) -> None:
    made = pods(manifests)
    for kind in ("Deployment", "StatefulSet"):
        for name, one in named(manifests, kind).items():
            labels = made[name]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for name in PROCESSES:
        labels = made[name]["metadata"]["labels"]
        ports = {port["name"] for port in container(made[name])["ports"]}
        budget = named(manifests, "PodDisruptionBudget")[name]["spec"]
        assert budget["selector"]["matchLabels"].items() <= labels.items()
        service = named(manifests, "Service")[name]["spec"]
        assert service["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["ports"]} <= ports
        if name in GRPC_SERVICES:
            assert service["clusterIP"] == "None", "gRPC keeps its connections: one address would pin one pod"
    for rule in named(manifests, "Ingress")["plaudit"]["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"] == {"name": "gateway", "port": {"name": "http"}}


def test_each_service_scales_separately_up_to_its_partitions(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    scalers = named(manifests, "HorizontalPodAutoscaler")
    assert set(scalers) == set(PROCESSES) - {"session-registry"}
    events = parse(settings_of("gateway", manifests, monkeypatch).events, "kafka")
    for name, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert scaler["spec"]["minReplicas"] >= 2
        assert "replicas" not in named(manifests, "Deployment")[name]["spec"], "it would fight with the scaler"
    for name in ON_PARTITIONS:
        assert scalers[name]["spec"]["maxReplicas"] <= int(events.options["partitions"])


@pytest.mark.parametrize("name", [*PROCESSES, "plaudit-migrate"])
def test_no_pod_has_rights_it_does_not_need(manifests: list[Manifest], name: str) -> None:
    spec = pods(manifests)[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    # A Service called plaudit would otherwise put variables into pods that are no settings.
    assert spec["enableServiceLinks"] is False
    one = container(pods(manifests)[name])
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
    assert "memory" in one["resources"]["limits"]


def test_keys_are_mounted_from_a_secret_into_the_folder_of_keys(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    for name in PROCESSES:
        spec = pods(manifests)[name]["spec"]
        [keys] = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
        assert f"create secret generic {keys['secretName']} " in readme
        [mount] = [one for one in container(pods(manifests)[name])["volumeMounts"] if one["name"] == "keys"]
        data = settings_of(name, manifests, monkeypatch).data
        assert Path(mount["mountPath"]) == data / "keys"
        assert mount["readOnly"] is True


def test_mutual_tls_has_all_its_settings_and_health_needs_no_certificate(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    component = yaml.safe_load((FOLDER / "mtls" / "kustomization.yaml").read_text("utf-8"))
    [patch] = component["patches"]
    steps: list[dict[str, Any]] = yaml.safe_load(patch["patch"])
    values = {step["value"]["name"]: step["value"] for step in steps if step["path"].endswith("/env/-")}
    for variable, value in values.items():
        monkeypatch.setenv(variable, value["value"])
    tls = settings_of("gateway", manifests, monkeypatch).tls
    assert None not in (tls.ca, tls.cert, tls.key)
    [mount] = [step["value"] for step in steps if step["path"].endswith("/volumeMounts/-")]
    readme = (FOLDER / "README.md").read_text("utf-8")
    for file in (tls.ca, tls.cert, tls.key):
        assert file is not None
        assert file.parent == Path(mount["mountPath"])
        assert f"/{file.name}" in readme
    for probe in ("startupProbe", "readinessProbe"):
        [value] = [step["value"] for step in steps if step["path"].endswith(probe)]
        assert value["httpGet"] == {"path": "/readyz", "port": "status"}


def test_the_envoy_of_the_readme_has_the_deployed_services(manifests: list[Manifest]) -> None:
    command = (FOLDER / "README.md").read_text("utf-8").partition("plaudit envoy render")[2].partition("```")[0]
    addresses = re.findall(r"(?:--gateways |=)([\w-]+):(\d+)", command)
    assert len(addresses) == 5
    for host, port in addresses:
        assert int(port) in {one["port"] for one in named(manifests, "Service")[host]["spec"]["ports"]}


def kustomize() -> list[str]:
    """The command that builds a folder: kustomize, or the one that is in kubectl."""
    for program, command in (("kustomize", "build"), ("kubectl", "kustomize")):
        if shutil.which(program) is not None:
            return [program, command]
    pytest.skip("kustomize is not on this machine: go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1")


def test_kustomize_builds_both_kinds(tmp_path: Path) -> None:
    build = kustomize()
    copy = shutil.copytree(FOLDER, tmp_path / "kubernetes")
    kustomization = copy / "kustomization.yaml"
    plain = subprocess.run([*build, str(copy)], check=True, capture_output=True, text=True).stdout
    kustomization.write_text(kustomization.read_text("utf-8").replace("# components:", "components:"), "utf-8")
    tls = subprocess.run([*build, str(copy)], check=True, capture_output=True, text=True).stdout
    assert "PLAUDIT_TLS__CA" not in plain
    assert tls.count("PLAUDIT_TLS__CA") == len(PROCESSES)
    assert "grpc:\n" not in tls.replace("appProtocol: grpc", "")
