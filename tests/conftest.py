"""What many tests share: a real stack in its own process, on free ports, with data of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.building import PROJECTS, build
from tests.engines import fixture_engines
from tests.running import Stack

__all__ = ["fixture_engines"]

# A busy machine is slow, not wrong.
settings.register_profile("plaudit", deadline=None)
settings.load_profile("plaudit")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """See `tests.scheduling`."""
    from tests.scheduling import ByFileAndEngines

    return ByFileAndEngines(config, log)


@pytest.fixture(name="stack")
def fixture_stack(tmp_path: Path) -> Iterator[Stack]:
    """A fresh stack for this test alone, which may kill and restart it."""
    with Stack(tmp_path / "data") as stack:
        yield stack


@pytest.fixture(name="shared_stack", scope="session")
def fixture_shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that only talk to it; use targets and users of your own."""
    with Stack(tmp_path_factory.mktemp("stack") / "data") as stack:
        yield stack


@pytest.fixture(name="packages", scope="session")
def fixture_packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of this repository, by the names of their projects."""
    return build(PROJECTS, tmp_path_factory.mktemp("packages"))
