"""The keys of a registry's system."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.auth.keys import Keys, open_keys


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")
