"""Windows of a real Chromium for the tests of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTLED_MS = 30_000
Motion = Literal["reduce", "no-preference"]
# Chromium itself reports them; a page cannot prevent it.
_FAILED_REQUESTS = ("Failed to load resource", "WebSocket connection to")
_KEEP_ANNOUNCEMENTS = """
new MutationObserver((changes) => {
  for (const { target } of changes) {
    if (target.id === "announcer") target.dataset.all = `${target.dataset.all ?? ""}|${target.textContent}|`;
  }
}).observe(document, { childList: true, subtree: true });
"""
"""The announcer has one text at a time, and other users of a demo post messages at any moment."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, for the tests of one module; expectations wait up to 30 s."""
    path = which("chromium")
    assert path, "the tests of the page need Chromium: sh tests/browser.sh"
    expect.set_options(timeout=SETTLED_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def expect_announced(page: Page, text: str) -> None:
    """Waits until the page has announced a text to screen readers."""
    expect(page.locator("#announcer")).to_have_attribute("data-all", re.compile(re.escape(f"|{text}|")))


class Windows:
    """Opens windows, each with a storage of its own, and collects the problems of all of them.

    Problems are script errors, console messages of any level, and requests to other origins. With
    `expects_failed_requests` the console may report failed requests: the test stops the server or is refused.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.expects_failed_requests = False
        self.problems: list[str] = []

    def open(
        self,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        touch: bool = False,
        scheme: str = "light",
        motion: Motion = "reduce",
    ) -> Page:
        """A new window at `url`."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            has_touch=touch,
            is_mobile=touch,
            reduced_motion=motion,
        )
        context.add_init_script(_KEEP_ANNOUNCEMENTS)
        page = context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._on_console)
        page.on("request", lambda request: None if request.url.startswith(url) else self.problems.append(request.url))
        page.goto(url)
        return page

    def close(self) -> None:
        """Closes all of them."""
        for context in self._browser.contexts:
            context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if not (self.expects_failed_requests and message.text.startswith(_FAILED_REQUESTS)):
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")
