"""What the page shows before the counts are loaded, and where its server does not come back."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.pages import option, react, show_activity, signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser

SOCKET = re.compile("/ws/connect$")
EMPTY_POST = "Be the first to react"


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Your name", exact=True).fill(name)
    page.get_by_role("button", name="Take a seat").click()


def gateway_that_leaves(socket: WebSocketRoute) -> None:
    """Sends a `goaway` of a minute after the welcome, and closes the socket. Resumes no session."""

    def answer(text: str | bytes) -> None:
        if json.loads(text)["type"] != "hello":
            return
        socket.send(json.dumps({"type": "welcome", "session": "1", "resume_token": "1", "user": "alice"}))
        socket.send(json.dumps({"type": "goaway", "reconnect_after_ms": 60_000}))
        socket.close(code=1001, reason="shutdown")

    socket.on_message(answer)


def test_a_server_that_has_stopped_after_goaway_is_shown_as_away_with_a_countdown(
    windows: Windows, demo_stack: Stack
) -> None:
    page = windows.open(f"{demo_stack.http_url}/")
    page.route_web_socket(SOCKET, gateway_that_leaves)
    sign_in(page, "alice-goaway")
    expect(page.get_by_text(re.compile(r"^The server is away\. .* trying again in [3-6]\d s\.$"))).to_be_visible()
    expect(page.get_by_text("Offline", exact=True)).to_be_visible()
    expect_announced(page, "The connection is lost. Messages and taps are kept.")
    expect(page.get_by_text("Changing seats")).to_have_count(0)

    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Connecting", exact=True)).to_be_visible()


def test_a_post_is_shown_as_empty_only_when_its_counts_are_loaded(windows: Windows, demo_stack: Stack) -> None:
    page = windows.open(f"{demo_stack.http_url}/")
    page.route_web_socket(SOCKET, lambda socket: None)  # the socket opens, and nothing answers
    sign_in(page, "bob-loading")
    expect(page.locator(".summary-text")).to_have_text(["Loading reactions…"] * 3)
    expect(page.get_by_text("Nothing yet.")).to_have_count(0)

    carol = signed_in(windows, demo_stack, "carol-loaded")
    expect(carol.locator(".summary-text")).to_have_text([EMPTY_POST] * 3)
    show_activity(carol)
    expect(carol.get_by_text("Nothing yet.")).to_be_visible()


def test_a_post_whose_reactions_were_removed_is_shown_as_empty(windows: Windows, demo_stack: Stack) -> None:
    for on in (True, False):
        react(demo_stack, "dan-undone", "posts/one-line", "like", on=on)
    page = signed_in(windows, demo_stack, "erin-undone")
    expect(option(page, "Workshop", "like")).to_have_accessible_name("like, 0")
    expect(page.locator("[data-target='posts/one-line'] .summary-text")).to_have_text(EMPTY_POST)
