"""The page at `/docs`: in a real browser, without requests to other origins, and its calls are real ones."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Windows
from tests.flows.page.reference_calls import calls_with_every_kind
from tests.running import Stack

pytestmark = pytest.mark.browser

SUCCESS, FAILURE = "rgb(27, 138, 88)", "rgb(184, 19, 75)"


def reference(windows: Windows, stack: Stack) -> Page:
    """The reference of a stack, in a window in which nothing may go wrong."""
    page = windows.open(f"{stack.http_url}/")
    page.goto(f"{stack.http_url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    return page


def sign_in(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_call_can_be_made_from_the_page(windows: Windows, demo_stack: Stack) -> None:
    page = reference(windows, demo_stack)
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


def test_calls_with_every_kind_of_field_open_without_a_message_in_the_console(
    windows: Windows, demo_stack: Stack
) -> None:
    page = reference(windows, demo_stack)
    with urllib.request.urlopen(f"{demo_stack.http_url}/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in document["paths"].values()))
    for name in calls_with_every_kind(document):
        call = page.locator(f".opblock[id$='-{name}']")
        # By a script: the mouse takes a second for each of them.
        call.locator(".opblock-summary-control").evaluate("button => button.click()")
        expect(call.locator(".opblock-body .responses-inner")).to_be_visible()
        call.locator(".opblock-summary-control").evaluate("button => button.click()")


def test_a_page_of_a_server_without_demo_tokens_requests_a_token(windows: Windows, tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        page = reference(windows, stack)
        expect(page.get_by_label("Your token")).to_be_visible()
        sign_in(page, "Your token", stack.token("carol"))
        expect(page.get_by_text("Signed in as carol")).to_have_css("color", SUCCESS)

        windows.expects_failed_requests = True
        sign_in(page, "Your token", stack.token("carol")[:-40])
        expect(page.get_by_text("The server does not accept this token.")).to_have_css("color", FAILURE)
        stack.kill()
        sign_in(page, "Your token", stack.token("carol"))
        expect(page.get_by_text("The server cannot be reached.")).to_have_css("color", FAILURE)
