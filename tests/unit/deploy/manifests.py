"""Reads the manifests, and the settings a pod made from them would start with."""

from __future__ import annotations

from typing import Any

import yaml

from tests.running import ROOT

Manifest = dict[str, Any]
FOLDER = ROOT / "deploy" / "kubernetes"
POD_IP = "10.1.2.3"


def load_all() -> list[Manifest]:
    """All that `kustomization.yaml` names."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    texts = [(FOLDER / name).read_text("utf-8") for name in kustomization["resources"]]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text)]


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """What pods are made from, by the name of what makes them."""
    makers = [one for one in manifests if one["kind"] in ("Deployment", "StatefulSet", "Job")]
    return {one["metadata"]["name"]: one["spec"]["template"] for one in makers}


def container(pod: Manifest) -> Manifest:
    """The one container of a pod."""
    [only] = pod["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(pod: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """The variables its process sees."""
    variables: dict[str, str] = {}
    for source in container(pod).get("envFrom", ()):
        variables |= named(manifests, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    for variable in container(pod).get("env", ()):
        if "valueFrom" in variable:
            assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
            variables[variable["name"]] = POD_IP
        else:
            variables[variable["name"]] = variable["value"].replace("$(POD_IP)", POD_IP)
    return variables
