"""The settings: privacy, and logging out all other devices."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import ask
from tests.flows.page.pages import signed_in
from tests.flows.page.test_messenger_access import violations
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_all_other_devices_are_logged_out_and_stay_so(windows: Windows, demo_stack: Stack) -> None:
    here, there = (signed_in(windows, demo_stack, "tom-devices") for _ in range(2))
    here.get_by_role("button", name="Settings of tom-devices").click()
    settings = here.get_by_role("dialog", name="Settings")
    settings.get_by_role("button", name="Log out of all other devices").click()
    here.get_by_role("dialog", name="Log out of all other devices?").get_by_role("button", name="Log out").click()
    expect(settings).to_contain_text("Logged out 1 other device.")
    expect(there.get_by_role("alert").filter(has_text="This device was logged out from another one.")).to_be_visible()
    expect(there.get_by_role("button", name="Take a seat")).to_be_visible()
    assert violations(there) == []
    there.reload()
    expect(there.get_by_role("button", name="Take a seat")).to_be_visible()
    expect(here.get_by_text("Live", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_privacy_is_changed_and_the_server_keeps_it(windows: Windows, demo_stack: Stack, scheme: str) -> None:
    user = f"uma-privacy-{scheme}"
    uma = signed_in(windows, demo_stack, user, scheme=scheme)
    opener = uma.get_by_role("button", name=f"Settings of {user}")
    opener.click()
    settings = uma.get_by_role("dialog", name="Settings")
    settings.get_by_label("Who may write to you first").select_option("Contacts")
    settings.get_by_label("Others see what you have read").uncheck()
    expect_announced(uma, "Saved.")
    assert violations(uma) == []
    assert faint_texts(uma) == []
    uma.keyboard.press("Escape")
    expect(opener).to_be_focused()
    opener.click()
    expect(settings.get_by_label("Who may write to you first")).to_have_value("AUDIENCE_CONTACTS")
    expect(settings.get_by_label("Others see what you have read")).not_to_be_checked()
    preferences = ask(demo_stack, user, "GET", "preferences")["preferences"]
    assert preferences["who_may_write"] == "AUDIENCE_CONTACTS"
    assert preferences["read_receipts"] is False
