"""A browser, a stack with demo tokens, and windows, for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browsing import Windows, chromium
from tests.running import Stack


@pytest.fixture(scope="module", name="browser")
def fixture_browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", name="demo_stack")
def fixture_demo_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with demo tokens and without a limit of sends. Its tests use different users and targets."""
    unlimited = {"MESSAGE__SENDS_PER_SECOND": "0", "MESSAGE__CREATIONS_PER_HOUR": "0"}
    with Stack(tmp_path_factory.mktemp("page") / "data", DEMO="true", **unlimited) as stack:
        yield stack


@pytest.fixture(name="windows")
def fixture_windows(browser: Browser) -> Iterator[Windows]:
    """The windows of one test. At its end none may have a problem."""
    windows = Windows(browser)
    yield windows
    windows.close()
    assert windows.problems == []
