"""A page without a gateway, for tests of its modules."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browsing import Windows, chromium

WEB = Path(__file__).resolve().parents[3] / "web"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""


@pytest.fixture(scope="module", name="page")
def fixture_page() -> Iterator[Page]:
    """The page at its sign-in, from a server that serves files alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with chromium() as browser:
            windows = Windows(browser)
            yield windows.open(f"http://127.0.0.1:{server.server_port}/")
            windows.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
