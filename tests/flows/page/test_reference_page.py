"""The page at `/docs`: in a real browser, without a load from elsewhere, and its calls are real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows, chromium
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_call_is_tried_on_the_page(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", DEMO="true") as stack, chromium() as browser:
        windows = Windows(browser)
        page = windows.open(f"{stack.http_url}/")
        page.goto(f"{stack.http_url}/docs")
        page.get_by_label("Try it as").fill("alice")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_text("Signed in as alice")).to_be_visible()
        call = page.locator("#operations-ReactionService-ReactionService_ToggleReaction")
        call.locator(".opblock-summary-control").click()
        call.get_by_placeholder("emoji").fill("👍")
        call.get_by_role("button", name="Execute").click()
        expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(call.locator(".live-responses-table")).to_contain_text('"on": true')
        windows.close()
        # Nothing was loaded from elsewhere, no script failed, and nothing met the policy of the page.
        assert windows.problems == []
