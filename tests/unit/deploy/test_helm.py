"""The Helm chart is made from the manifests, and renders to what they say."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from deploy.helm.generate import CHART, PODS, SCALED, chart, stale
from tests.unit.deploy.manifests import FOLDER, Manifest, container, load_all, named, pods

CHECKSUM = "checksum/settings"
CLUSTER = ("--kube-version", "1.30.0")


def rendered(*options: str) -> list[Manifest]:
    """What the chart makes, as a cluster would get it."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not on this machine: go install helm.sh/helm/v3/cmd/helm@v3.19.0")
    command = [program, "template", "plaudit", str(CHART), "--namespace", "plaudit", *CLUSTER, *options]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [one for one in yaml.safe_load_all(text) if one]


def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name; without what only the chart has, and with the image that kustomize puts in."""
    [image] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["images"]
    found = {}
    for one in manifests:
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = one["spec"]["template"]
            pod["metadata"].get("annotations", {}).pop(CHECKSUM, None)
            if container(pod)["image"] == "plaudit":
                container(pod)["image"] = f"{image['newName']}:{image['newTag']}"
        name = "plaudit-migrate" if one["kind"] == "Job" else one["metadata"]["name"]
        one["metadata"]["name"] = name
        found[one["kind"], name] = one
    return found


def with_tls(manifests: list[Manifest]) -> list[Manifest]:
    """The manifests with the component `mtls`, as kustomize applies it."""
    component = yaml.safe_load((FOLDER / "mtls" / "kustomization.yaml").read_text("utf-8"))
    steps: list[dict[str, Any]] = yaml.safe_load(component["patches"][0]["patch"])
    for name in PODS:
        template = pods(manifests)[name]
        for step in steps:
            *path, last = step["path"].removeprefix("/spec/template/").split("/")
            inner: Any = template
            for key in path:
                inner = inner[int(key)] if isinstance(inner, list) else inner[key]
            if last == "-":
                inner.append(step["value"])
            else:
                inner[last] = step["value"]
    return manifests


def test_the_chart_is_generated_from_the_manifests() -> None:
    assert not stale(), "make gen"
    there = {path for path in CHART.rglob("*") if path.is_file()}
    assert there - chart().keys() == {CHART / "README.md", CHART / ".helmignore"}


def test_every_manifest_but_the_namespace_is_in_the_chart() -> None:
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"])
    assert {path.name for path in (CHART / "templates").iterdir()} == listed - {"namespace.yaml"}


def test_it_renders_to_the_manifests() -> None:
    manifests = [one for one in load_all() if one["kind"] != "Namespace"]
    assert by_name(rendered()) == by_name(manifests)


def test_it_renders_to_the_manifests_with_mutual_tls() -> None:
    manifests = with_tls([one for one in load_all() if one["kind"] != "Namespace"])
    assert by_name(rendered("--set", "mtls.enabled=true")) == by_name(manifests)


def test_values_are_rendered_into_their_manifests() -> None:
    made = rendered(
        *("--set", "image.repository=example.org/p", "--set", "image.tag=9", "--set", "gateway.maxReplicas=7"),
        *("--set", "ingress.host=chat.example.org", "--set", "keysSecret=own", "--set", "settings.PLAUDIT_LOG=debug"),
        *("--set", "ingress.className=nginx"),
    )
    for pod in pods(made).values():
        assert container(pod)["image"] == "example.org/p:9"
    assert named(made, "HorizontalPodAutoscaler")["gateway"]["spec"]["maxReplicas"] == 7
    ingress = named(made, "Ingress")["plaudit"]["spec"]
    assert (ingress["rules"][0]["host"], ingress["ingressClassName"]) == ("chat.example.org", "nginx")
    assert named(made, "ConfigMap")["plaudit-settings"]["data"]["PLAUDIT_LOG"] == "debug"
    sums = {pods(made)[name]["metadata"]["annotations"][CHECKSUM] for name in PODS}
    assert sums != {pods(rendered())[name]["metadata"]["annotations"][CHECKSUM] for name in PODS}
    assert "Ingress" not in {one["kind"] for one in rendered("--set", "ingress.enabled=false")}
    assert set(SCALED) == set(named(made, "HorizontalPodAutoscaler"))


def test_helm_lint_reports_no_problem() -> None:
    rendered()
    done = subprocess.run(
        ["helm", "lint", "--strict", *CLUSTER, str(CHART)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
