"""The page's connection goes on when its token ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from kit.auth.keys import open_keys
from tests.browsing import Windows
from tests.running import Stack

pytestmark = pytest.mark.browser

CONNECT = """
async () => {
  const { connect } = await import("/js/vendor/plaudit-client.js");
  const url = new URL("ws/connect", location.href);
  url.protocol = "ws:";
  let asked = 0;
  const tokens = async (fresh) => { asked += 1; return window.mint(Boolean(fresh)); };
  const states = [];
  const connection = connect(url.href, tokens, { device: crypto.randomUUID() });
  connection.addEventListener("state", ({ detail }) => states.push(detail));
  Object.assign(window, { connection, states, asked: () => asked, named: () => states.map(({ state }) => state) });
}
"""
REACT = """
() => window.connection.call("toggle_reaction", { target: "messages/tokens", emoji: "👍", op_id: crypto.randomUUID() })
"""


FIRST_WHILE_LIVE = """
() => {
  window.mint = async () => {
    if (window.first && window.connection?.state === "live") return window.first;
    return (window.first = await window.fresh());
  };
}
"""


def until(page: Page, condition: str) -> None:
    """Waits for a condition in the page, whose policy forbids what Playwright has for that."""
    pause = "await new Promise((go) => setTimeout(go, 50));"
    looks = f"for (let look = 0; look < 400; look += 1) {{ if ({condition}) return true; {pause} }}"
    assert page.evaluate(f"async () => {{ {looks} return false; }}"), condition


def connect(windows: Windows, stack: Stack, mint: Callable[[bool], str]) -> Page:
    page = windows.open(f"{stack.http_url}/")
    page.expose_function("mint", mint)
    page.evaluate(CONNECT)
    return page


def short(stack: Stack, user: str) -> str:
    return open_keys(stack.data / "keys").minter().mint_user(user, ttl=3)


def reacts(page: Page) -> bool:
    answer: dict[str, Any] = page.evaluate(REACT)
    return bool(answer["type"] == "ack")


def test_a_token_is_renewed_on_the_open_socket(windows: Windows, demo_stack: Stack) -> None:
    page = connect(windows, demo_stack, lambda _: short(demo_stack, "renewing"))
    until(page, "window.asked() >= 4")
    assert page.evaluate("window.named()") == ["connecting", "live"]
    assert reacts(page)


def test_after_its_token_has_expired_a_page_connects_again_with_another(windows: Windows, demo_stack: Stack) -> None:
    page = windows.open(f"{demo_stack.http_url}/")
    page.expose_function("fresh", lambda: short(demo_stack, "returning"))
    # On the open socket there is no other than the first.
    page.evaluate(FIRST_WHILE_LIVE)
    page.evaluate(CONNECT)
    until(page, "window.named().filter((state) => state === 'live').length >= 2")
    assert reacts(page)
    assert "ended" not in page.evaluate("window.named()")


def test_a_token_that_cannot_be_renewed_ends_with_a_sentence(windows: Windows, demo_stack: Stack) -> None:
    only = short(demo_stack, "leaving")
    page = connect(windows, demo_stack, lambda _: only)
    until(page, "window.named().at(-1) === 'ended'")
    assert page.evaluate("window.states.at(-1).reason") == "The token has expired."
