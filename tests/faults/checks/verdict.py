"""The violations that a check found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["I1", "I2", "I3", "I4", "I7", "I8", "I9"]


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated invariant: where, and what was observed."""

    rule: Rule
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """All violations, and the amount of checked data: a check of nothing proves nothing."""

    violations: list[Violation] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, found: Iterable[Violation]) -> None:
        """Adds the violations of a rule."""
        self.violations += found

    def count(self, *rules: Rule) -> int:
        """The number of violations of these rules."""
        return sum(violation.rule in rules for violation in self.violations)

    @property
    def rules(self) -> frozenset[Rule]:
        """The violated invariants."""
        return frozenset(violation.rule for violation in self.violations)
