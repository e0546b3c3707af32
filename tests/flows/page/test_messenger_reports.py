"""Reporting a message to the moderators."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import act, direct, message, opened, post
from tests.flows.page.pages import hover
from tests.flows.page.test_messenger_access import violations
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_message_is_reported_with_a_reason_and_a_note(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "ray-report", "sam-report")
    post(demo_stack, "sam-report", conversation, "Buy now, buy now.")
    post(demo_stack, "ray-report", conversation, "No, thank you.")
    ray = opened(windows, demo_stack, "ray-report", "sam-report")
    act(ray, "Buy now, buy now.", "Report")
    dialog = ray.get_by_role("dialog", name="Report message")
    expect(dialog.get_by_role("button", name="Report", exact=True)).to_be_disabled()
    assert violations(ray) == []
    assert faint_texts(ray) == []
    dialog.get_by_label("Spam").check()
    dialog.get_by_label("Note (optional)").fill("The third time today")
    dialog.get_by_role("button", name="Report", exact=True).click()
    expect(ray.get_by_text("Reported. The moderators will look at it.")).to_be_visible()
    expect(dialog).to_have_count(0)

    hover(message(ray, "No, thank you.").locator(".bubble")).get_by_role("button", name="More actions").click()
    expect(ray.get_by_role("menuitem", name="Forward", exact=True)).to_be_visible()
    expect(ray.get_by_role("menuitem", name="Report", exact=True)).to_have_count(0)
