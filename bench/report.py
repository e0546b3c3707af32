"""The table: ours, the reference, their ratio, the goal, and a verdict in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """The required and the desired figure; with `at_most` a smaller figure is better."""

    at_least: float
    aim: float
    at_most: bool = False

    def verdict(self, figure: float) -> str:
        """The verdict on a figure."""
        sign = -1 if self.at_most else 1
        if sign * figure >= sign * self.aim:
            return "aim reached"
        if sign * figure >= sign * self.at_least:
            return "goal reached"
        return "BELOW the goal"


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `figure` is compared with the goal: the ratio ours ÷ reference, or ours without a reference."""

    id: str
    what: str
    unit: str
    ours: Sequence[float]  # one per round: A, then A again
    reference: Sequence[float] = ()
    goal: Goal | None = None
    # True where ours and the reference are costs: the ratio is then reference ÷ ours, so that more is better.
    costs: bool = False
    notes: Sequence[str] = ()
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    skipped: str = ""

    @property
    def figure(self) -> float:
        """The figure that is compared with the goal."""
        if not self.reference:
            return mean(self.ours)
        ratio = mean(self.ours) / mean(self.reference)
        return 1 / ratio if self.costs else ratio

    @property
    def verdict(self) -> str:
        """The verdict with notes, as text."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        words = [self.goal.verdict(self.figure)] if self.goal else []
        return "; ".join([*words, *self.notes])


_WORDS = ("line", "what", "verdict")


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def short(value: float) -> str:
    """A figure with three to four significant digits."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.1f} k"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rounds(values: Sequence[float]) -> str:
    if not values:
        return ""
    return short(mean(values)) + (f" ({' / '.join(short(value) for value in values)})" if len(values) > 1 else "")


def _goal(goal: Goal | None) -> tuple[str, str]:
    if goal is None:
        return "", ""
    sign = "≤ " if goal.at_most else ""
    return sign + short(goal.at_least), sign + short(goal.aim)


def print_lines(lines: Sequence[Line], console: Console) -> None:
    """Prints the table."""
    table = Table(title="Plaudit beside its references (A-B-A in one run)", title_justify="left", show_lines=True)
    for heading in ("line", "what", "unit", "ours", "reference", "ratio", "at least", "aim", "verdict", "CPU s"):
        table.add_column(heading, overflow="fold", justify="left" if heading in _WORDS else "right")
    for line in lines:
        at_least, aim = _goal(line.goal)
        ratio = short(line.figure) if line.reference and not line.skipped else ""
        cpu = "\n".join(f"{name} {seconds:.2f}" for name, seconds in line.cpu_seconds.items())
        table.add_row(
            line.id, line.what, line.unit, _rounds(line.ours), _rounds(line.reference), ratio, at_least, aim,
            line.verdict, cpu,
        )  # fmt: skip
    console.print(table)


def save(lines: Sequence[Line], path: Path, machine: Mapping[str, object]) -> None:
    """Writes the lines as JSON."""
    rows = [
        {**asdict(line), "verdict": line.verdict, "figure": None if line.skipped else line.figure} for line in lines
    ]
    path.write_text(json.dumps({"machine": dict(machine), "lines": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")
