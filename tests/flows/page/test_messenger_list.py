"""What a user sets for a conversation: archived, marked as unread, also on another device."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Windows
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import act, ask, direct, group, message, open_conversation, opened, post, row
from tests.flows.page.pages import signed_in
from tests.flows.page.test_messenger_access import violations
from tests.running import Stack

pytestmark = pytest.mark.browser


def choose(page: Page, title: str, action: str) -> None:
    """Chooses an action from the menu of a conversation."""
    row(page, title).hover()
    page.get_by_role("button", name=f"Actions for {title}", exact=True).click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def test_an_archived_conversation_comes_back_with_its_next_message(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "abel-archive", "bea-archive")
    post(demo_stack, "bea-archive", conversation, "See you.")
    abel, phone = (signed_in(windows, demo_stack, "abel-archive") for _ in range(2))
    expect(row(abel, "bea-archive")).to_be_visible()
    choose(abel, "bea-archive", "Archive")
    for page in (abel, phone):
        expect(row(page, "bea-archive")).to_have_count(0)

    abel.get_by_role("button", name="Archived", exact=True).click()
    expect(abel.get_by_role("heading", name="Archived")).to_be_visible()
    expect(row(abel, "bea-archive")).to_be_visible()
    assert violations(abel) == []
    assert faint_texts(abel) == []
    abel.get_by_role("button", name="Back to the messages").click()
    expect(row(abel, "Load-in crew")).to_be_visible()

    post(demo_stack, "bea-archive", conversation, "One more thing.")
    for page in (abel, phone):
        expect(row(page, "bea-archive")).to_contain_text("One more thing.")


def test_a_mark_as_unread_is_shown_on_both_devices_until_it_is_opened(windows: Windows, demo_stack: Stack) -> None:
    post(demo_stack, "cid-unread", direct(demo_stack, "cid-unread", "dot-unread"), "Later.")
    laptop, phone = (signed_in(windows, demo_stack, "cid-unread") for _ in range(2))
    choose(laptop, "dot-unread", "Mark as unread")
    for page in (laptop, phone):
        expect(row(page, "dot-unread")).to_have_accessible_name(re.compile("marked as unread"))
    open_conversation(phone, "dot-unread")
    for page in (laptop, phone):
        expect(row(page, "dot-unread")).not_to_have_accessible_name(re.compile("marked as unread"))


def test_the_actions_of_a_conversation_are_reached_by_keyboard(windows: Windows, demo_stack: Stack) -> None:
    post(demo_stack, "eva-row", direct(demo_stack, "eva-row", "fox-row"), "Hello.")
    eva = signed_in(windows, demo_stack, "eva-row")
    expect(eva.locator(".conversation")).to_have_count(3)
    row(eva, "fox-row").focus()
    eva.keyboard.press("ArrowRight")
    actions = eva.get_by_role("button", name="Actions for fox-row")
    expect(actions).to_be_focused()
    eva.keyboard.press("Enter")
    expect(eva.get_by_role("menuitem", name="Pin", exact=True)).to_be_focused()
    assert violations(eva) == []
    eva.keyboard.press("Enter")
    expect(row(eva, "fox-row")).to_have_accessible_name(re.compile("pinned"))
    expect(actions).to_be_focused()
    eva.keyboard.press("ArrowLeft")
    expect(row(eva, "fox-row")).to_be_focused()


def test_what_an_admin_has_deleted_is_shown_as_such(windows: Windows, demo_stack: Stack) -> None:
    conversation = group(demo_stack, "gina-delete", "Notices", ["hal-delete"])
    post(demo_stack, "hal-delete", conversation, "Buy my old lamp.")
    gina, hal = (opened(windows, demo_stack, user, "Notices") for user in ("gina-delete", "hal-delete"))
    act(gina, "Buy my old lamp.", "Delete for everyone")
    gina.get_by_role("dialog", name="Delete this message?").get_by_role("button", name="Delete").click()
    for page in (gina, hal):
        expect(message(page, "Deleted by an admin")).to_be_visible()
    expect(row(hal, "Notices")).to_contain_text("Deleted by an admin")


def test_messages_disappear_in_both_windows_and_the_change_is_shown(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "ira-gone", "jon-gone")
    post(demo_stack, "ira-gone", conversation, "Read this and forget it.")
    ira, jon = opened(windows, demo_stack, "ira-gone", "jon-gone"), opened(windows, demo_stack, "jon-gone", "ira-gone")
    expect(message(jon, "Read this and forget it.")).to_be_visible()
    ira.get_by_role("button", name="Details", exact=True).click()
    details = ira.get_by_role("dialog", name="jon-gone")
    details.get_by_label("Messages stay").select_option("for 1 day")
    expect(ira.locator("dialog.confirm")).to_contain_text("Messages disappear for everyone 1 day after they were sent.")
    ira.locator("dialog.confirm").get_by_role("button", name="Let them disappear").click()
    expect(details.get_by_text("Direct messages, messages stay 1 day")).to_be_visible()
    assert violations(ira) == []
    assert faint_texts(ira) == []
    expect(jon.get_by_text("ira-gone lets messages disappear after 1 day")).to_be_visible()

    ask(demo_stack, "jon-gone", "PUT", f"conversations/{conversation}/retention", {"retention_seconds": 1})
    for page in (ira, jon):
        expect(page.locator(".message")).to_have_count(0, timeout=30_000)
