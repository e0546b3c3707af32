"""A shard's stage as a fixture."""

from __future__ import annotations

import pytest

from tests.unit.kit.ledger.shard_stage import Stage


@pytest.fixture(name="stage")
def fixture_stage() -> Stage:
    """A shard that serves, with one entry."""
    stage = Stage().serve()
    stage.submit("a")
    stage.settle()
    return stage
