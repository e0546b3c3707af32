"""What a checker has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["I1", "I2", "I3", "I4", "I7", "I8", "I9"]


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold: where, and what was seen."""

    rule: Rule
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """All that was found, and how much was looked at: a check of nothing proves nothing."""

    violations: list[Violation] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, found: Iterable[Violation]) -> None:
        """Takes in what a rule has found."""
        self.violations += found

    def of(self, *rules: Rule) -> int:
        """How many violations there are of these rules."""
        return sum(violation.rule in rules for violation in self.violations)

    @property
    def rules(self) -> frozenset[Rule]:
        """The invariants that did not hold."""
        return frozenset(violation.rule for violation in self.violations)
