"""A process that loads a SQLite reaction store: `python -m tests.contract.reactions.storeload FILE NAME BATCHES`.

Prints a line for each acked operation: target, user, op_id, on, version.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.clock import SystemClock
from kit.ids import new_id
from reaction_svc.domain import Action, Op, Outcome, Refusal
from tests.contract.reactions.reaction_engine import LEDGER, opened_in_file
from tests.events import Change

ROOT = Path(__file__).resolve().parents[3]


def environment() -> dict[str, str]:
    """For a process that finds this project's packages."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")])}


def counts_by_facts(facts: Iterable[Change]) -> dict[str, int]:
    """The counts that facts add up to, without zeros; negative ones stay."""
    counts: Counter[str] = Counter()
    for fact in facts:
        counts.update([fact.added] if fact.added else [])
        counts.subtract([fact.removed] if fact.removed else [])
    return {emoji: count for emoji, count in counts.items() if count}


async def load(path: Path, name: str, batches: int) -> None:
    """Opens the store in a file and toggles."""
    clock = SystemClock()
    async with open_sqlite_log(path, ledgers=[LEDGER]) as log, opened_in_file(log, path, clock) as store:
        await toggle(store, name, batches)


class Applying(Protocol):
    """The half of a store that is loaded."""

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        """See `reaction_engine.Store`."""
        ...


async def toggle(store: Applying, name: str, batches: int) -> None:
    """Toggles 5 users' reactions on 3 targets, five callers at once, in batches of 5."""
    rng = random.Random(name)
    for i in range(batches):
        ops = [
            Op(
                "default",
                f"messages/{rng.randrange(3)}",
                f"u{rng.randrange(5)}",
                "👍",
                Action.TOGGLE,
                f"{name}-{i}-{j}" if j % 2 else new_id(),
            )
            for j in range(25)
        ]
        answered = await asyncio.gather(*(store.apply(ops[at : at + 5]) for at in range(0, 25, 5)))
        answers = [answer for some in answered for answer in some]
        for op, answer in zip(ops, answers, strict=True):
            assert isinstance(answer, Outcome)
            print(op.target, op.user, op.op_id, answer.on, answer.version, flush=False)
        sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(load(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
