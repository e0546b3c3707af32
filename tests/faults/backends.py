"""Engines of the fault runs: servers of their own, each behind a proxy that can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backends:
    """Where the engines are, as the nodes are told it."""

    settings: Mapping[str, str] = field(default_factory=dict)


def started() -> Backends:
    """The engines of this process, started when they are first needed."""
    raise NotImplementedError
