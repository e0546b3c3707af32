"""What the simulation requires of the tables when an operation is answered."""

from __future__ import annotations

import pytest

from kit.ledger.entry import Entry
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.domain import Action, Op, OperationRow, Outcome, TargetChange, TargetHead
from reaction_svc.model.state import TargetWrites, Writes
from tests.simulation.checks import Checker
from tests.simulation.world import Violation, World

KEY = ("acme", "messages/1")
OP = Op(*KEY, "bob", "a", Action.ADD, "")
ADDED = TargetWrites(KEY, 10, TargetHead(10, 10, {"a": 1}), [("bob", "a", True, 10)])
REMOVED = TargetWrites(KEY, 20, TargetHead(20, 20, {}), [("bob", "a", False, 20)])
ERASED = TargetWrites(KEY, 20, TargetHead(20, 20, {}), [], [("bob", 20)])


@pytest.fixture(name="checker")
def fixture_checker() -> Checker:
    """Bob has added an emoji in entry 1."""
    checker = Checker(World(0), 1)
    checker.shards[0].append(Entry(1, "n1-1", 10, b""))
    row = OperationRow("bob", "a", "", 10, "", "a", Action.ADD, True)
    checker.target(KEY).apply(TargetChange(KEY, [row], ADDED.head), 1, 10)
    return checker


@pytest.mark.parametrize("later", [REMOVED, ERASED])
def test_the_record_of_a_later_entry_may_be_there_before_its_head(checker: Checker, later: TargetWrites) -> None:
    tables = MemoryTables()
    records, head = tables.steps(Writes([ADDED], []))
    records()
    head()
    tables.steps(Writes([later], []))[0]()
    checker.answered(OP, Outcome(True, 10), 0, tables)


def test_the_record_of_the_answer_must_be_there(checker: Checker) -> None:
    tables = MemoryTables()
    tables.steps(Writes([ADDED], []))[1]()
    with pytest.raises(Violation, match="records are older"):
        checker.answered(OP, Outcome(True, 10), 0, tables)
