"""Runs of the ledger of conversations under chaos keep all promises; with a bug planted, one of them does not."""

from __future__ import annotations

import pytest

from tests.simulation.messages.mutants import MUTANTS, planted
from tests.simulation.messages.simulation import run

SEEDS = 200


@pytest.mark.timeout(300)
def test_two_hundred_seeds_violate_no_invariant() -> None:
    for seed in range(SEEDS):
        found = run(seed)
        assert not found.violation, f"seed {seed}: {found.violation}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_detected(name: str) -> None:
    with planted(name):
        found = next((found for seed in range(SEEDS) if (found := run(seed)).violation), None)
    assert found is not None, f"{name} was not seen in {SEEDS} seeds"
    # A bug that crashes where it is planted shows nothing of what the checks see.
    assert not found.violation.startswith("the code fails"), f"{name}, seed {found.seed}: {found.violation}"
