"""P11: the embedded ledger, without a network."""

from __future__ import annotations

from bench.processes import SERVER_CPU, metered, python, running
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted

BATCH = 500


def compared_with_sqlite(setup: Setup) -> list[Line]:
    """P11: compared with bare sqlite3 writing the same rows in the same batches, synchronous=FULL."""
    total = int(setup.pick(50_000, 200_000, 1_000_000))
    notes: list[str] = []
    cpu: dict[str, float] = {}

    def measure(way: str) -> float:
        command = python("-m", "bench.embedded_toggles", way, f"--total={total}", f"--batch={BATCH}")
        with running(way, command, cpu=SERVER_CPU) as process, metered(process) as meter:
            report = process.read_answer(300)
        notes.extend(meter.notes)
        cpu[way] = report["cpu_seconds"]
        return float(report["rate"])

    ours, theirs = alternating(lambda: measure("ledger"), lambda: measure("sqlite"))
    what = f"embedded durable toggles/s, batches of {BATCH} ÷ bare sqlite3 executemany of the same rows"
    return [Line("P11", what, "toggles/s", ours, theirs, Goal(0.85, 0.95), notes=noted(notes), cpu_seconds=cpu)]
