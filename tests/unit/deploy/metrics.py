"""Every metric the program has, with its labels, learnt from the program."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass

from prometheus_client import REGISTRY

from stack.settings.model import SERVICES

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}
_GIVEN = {"instance", "job", "le"}


@dataclass(frozen=True)
class KnownMetrics:
    """The series of the program: name -> labels."""

    labels: dict[str, frozenset[str]]

    def complaints(self, expression: str) -> list[str]:
        """What an expression asks for that is not there."""
        names = re.findall(r"\bplaudit_\w+", expression)
        found = [f"no metric is called {name}" for name in names if name not in self.labels]
        asked = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r"[,\s]+", group)}
        asked |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
        had = frozenset[str]().union(*(self.labels.get(name, frozenset()) for name in names)) | _GIVEN
        return found + [f"no label is called {label} in {expression}" for label in sorted(asked - {""} - had)]


def known() -> KnownMetrics:
    """Imports every module that may define a metric and asks the registry."""
    importlib.import_module("stack.process.version")
    for package in ("kit", *SERVICES):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not module.name.endswith(".generate"):  # a script
                importlib.import_module(module.name)
    labels: dict[str, frozenset[str]] = {}
    for collector, _ in list(REGISTRY._collector_to_names.items()):
        for family in collector.collect():
            if family.name.startswith("plaudit_"):
                own: tuple[str, ...] = getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ())
                for suffix in _SUFFIXES[family.type]:
                    labels[f"{family.name}{suffix}"] = frozenset(own)
    return KnownMetrics(labels)
