"""What a trial is: the system, the fault, its duration, and the planted bugs that the checker must find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.checks.history import Recorder
from tests.faults.system.cluster import FILES, Cluster, Layout
from tests.faults.trial import Fault, TrialPlan, TrialReport, run_under_fault

Drive = Callable[[Cluster, TrialPlan, Fault, Recorder], Awaitable[TrialReport]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run. `rules`: the rules that must find a planted bug; empty for a fault, which must violate none."""

    name: str
    title: str
    fault: Fault
    layout: Layout = FILES
    plan: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    mutants: Mapping[str, str] = field(default_factory=dict)
    rules: frozenset[str] = frozenset()
    where: str = ""
    """Text that the location of such a violation must contain."""
    engines: bool = False
    three_nodes: bool = False
    """Whether Cassandra is a cluster of three nodes, each with a replica."""
    drive: Drive = run_under_fault
    """Clients and load: of reactions, or of messages."""

    @property
    def is_mutant(self) -> bool:
        """Whether this is a planted bug, which the checker must find."""
        return bool(self.rules)
