"""The page at `/docs`: in a real browser, without requests to other origins, and its calls are real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Windows, chromium
from tests.running import Stack

pytestmark = pytest.mark.browser

SUCCESS, FAILURE = "rgb(27, 138, 88)", "rgb(184, 19, 75)"


@contextmanager
def reference(stack: Stack) -> Iterator[tuple[Page, Windows]]:
    """The page of a stack, and its window, in which nothing may go wrong."""
    with chromium() as browser:
        windows = Windows(browser)
        page = windows.open(f"{stack.http_url}/")
        page.goto(f"{stack.http_url}/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        yield page, windows
        windows.close()
        assert windows.problems == []


def sign_in(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_call_can_be_made_from_the_page(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", DEMO="true") as stack, reference(stack) as (page, _):
        sign_in(page, "Try it as", "alice")
        expect(page.get_by_text("Signed in as alice")).to_have_css("color", SUCCESS)
        call = page.locator("#operations-ReactionService-ReactionService_ToggleReaction")
        call.locator(".opblock-summary-control").click()
        call.get_by_placeholder("emoji").fill("👍")
        call.get_by_role("button", name="Execute").click()
        expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(call.locator(".live-responses-table")).to_contain_text('"on": true')

        name, version = [badge.bounding_box() for badge in page.locator(".info .title small").all()]
        assert name is not None
        assert version is not None
        assert version["x"] - (name["x"] + name["width"]) >= 6  # the badges do not run together


@pytest.mark.parametrize("part", [0, 1])
def test_each_call_opens_without_a_message_in_the_console(tmp_path: Path, part: int) -> None:
    with Stack(tmp_path / "data", DEMO="true") as stack, reference(stack) as (page, _):
        calls = page.locator(".opblock").all()
        assert len(calls) > 10
        for call in calls[part::2]:
            # By a script: the mouse takes a second for each of them.
            call.locator(".opblock-summary-control").evaluate("button => button.click()")
            expect(call.locator(".opblock-body").first).to_be_visible()
            call.locator(".opblock-summary-control").evaluate("button => button.click()")


def test_a_page_of_a_server_without_demo_tokens_requests_a_token(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack, reference(stack) as (page, windows):
        expect(page.get_by_label("Your token")).to_be_visible()
        sign_in(page, "Your token", stack.token("carol"))
        expect(page.get_by_text("Signed in as carol")).to_have_css("color", SUCCESS)

        windows.expects_failed_requests = True
        sign_in(page, "Your token", stack.token("carol")[:-40])
        expect(page.get_by_text("The server does not accept this token.")).to_have_css("color", FAILURE)
        stack.kill()
        sign_in(page, "Your token", stack.token("carol"))
        expect(page.get_by_text("The server cannot be reached.")).to_have_css("color", FAILURE)
