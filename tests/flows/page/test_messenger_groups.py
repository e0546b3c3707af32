"""Groups and channels on the page: who is in them, who may write, who decides."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browsing import Windows
from tests.flows.page.messaging import (
    field,
    group,
    message,
    open_conversation,
    opened,
    post,
    react_to,
    row,
    say,
    ticks,
)
from tests.flows.page.pages import signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser


def details(page: Page, title: str) -> Locator:
    """The opened dialog with the details of the open conversation."""
    page.get_by_role("button", name="Details", exact=True).click()
    return page.get_by_role("dialog", name=title)


def member(dialog: Locator, user: str) -> Locator:
    """The line of a member; its buttons appear under the pointer."""
    line = dialog.get_by_role("list", name="Members").get_by_role("listitem").filter(has_text=user)
    line.hover()
    return line


def agree(page: Page, action: str) -> None:
    """Answers the question that is asked."""
    page.locator("dialog.confirm").get_by_role("button", name=action, exact=True).click()


def test_three_talk_in_a_group(windows: Windows, demo_stack: Stack) -> None:
    ada, ben, cleo = (signed_in(windows, demo_stack, name) for name in ("ada-three", "ben-three", "cleo-three"))
    ada.get_by_role("button", name="New conversation").first.click()
    for name in ("ben-three", "cleo-three"):
        ada.get_by_label("To", exact=True).fill(name)
        ada.keyboard.press("Enter")
    ada.get_by_label("Group name").fill("Row F")
    ada.get_by_role("button", name="Create group").click()
    expect(ada.get_by_role("region", name="Row F")).to_be_visible()
    say(ada, "Seats 12 to 14.")

    for page in (ben, cleo):
        expect(row(page, "Row F")).to_contain_text("ada-three: Seats 12 to 14.")
        open_conversation(page, "Row F")
        expect(page.get_by_text("ada-three created “Row F”")).to_be_visible()
    expect(ticks(ada, "Seats 12 to 14.")).to_have_attribute("title", "Read by 2 of 2")
    say(ben, "I take 13.")
    say(cleo, "14 then.")
    for page in (ada, ben, cleo):
        expect(page.locator(".message .text")).to_have_count(3)
    expect(message(ada, "I take 13.")).to_contain_text("ben-three")


def test_an_admin_adds_promotes_and_removes(windows: Windows, demo_stack: Stack) -> None:
    group(demo_stack, "dora-admin", "Follow spots", ["emil-admin"])
    dora, emil, fay = (signed_in(windows, demo_stack, name) for name in ("dora-admin", "emil-admin", "fay-admin"))
    open_conversation(dora, "Follow spots")
    dialog = details(dora, "Follow spots")
    dialog.get_by_label("Add a member").fill("fay-admin")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("listitem")).to_have_count(3)
    open_conversation(fay, "Follow spots")
    expect(fay.get_by_text("dora-admin added you")).to_be_visible()

    member(dialog, "emil-admin").get_by_role("button", name="Make emil-admin an admin").click()
    expect(member(dialog, "emil-admin").get_by_text("Admin", exact=True)).to_be_visible()
    open_conversation(emil, "Follow spots")
    expect(emil.get_by_text("dora-admin made you an admin")).to_be_visible()

    member(dialog, "fay-admin").get_by_role("button", name="Remove fay-admin").click()
    agree(dora, "Remove")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    expect(fay.get_by_text("You are no longer a member. You can read what was written until then.")).to_be_visible()
    expect(field(fay)).to_have_count(0)


def test_the_refusal_for_the_last_admin_has_the_reason(windows: Windows, demo_stack: Stack) -> None:
    group(demo_stack, "gil-last", "Fly tower", ["hana-last"])
    gil = opened(windows, demo_stack, "gil-last", "Fly tower")
    dialog = details(gil, "Fly tower")
    member(dialog, "gil-last").get_by_role("button", name="Stop being an admin").click()
    expect(dialog.get_by_role("alert")).to_have_text("You are the only admin. Make another member an admin first.")
    expect(member(dialog, "gil-last").get_by_text("Admin", exact=True)).to_be_visible()


def test_a_channel_is_written_by_admins_and_read_by_members(windows: Windows, demo_stack: Stack) -> None:
    group(demo_stack, "iris-channel", "Call board", ["jan-channel"])
    iris = opened(windows, demo_stack, "iris-channel", "Call board")
    jan = opened(windows, demo_stack, "jan-channel", "Call board")
    say(jan, "Is the half at seven?")
    dialog = details(iris, "Call board")
    dialog.get_by_role("button", name="Make it a channel").click()
    agree(iris, "Make it a channel")
    expect(dialog.get_by_text("Channel, 2 members")).to_be_visible()
    dialog.get_by_role("button", name="Leave", exact=True).click()
    agree(iris, "Leave")
    expect(dialog.get_by_role("alert")).to_have_text("You are the only admin. Make another member an admin first.")
    dialog.get_by_role("button", name="Close").click()

    expect(jan.get_by_text("Only admins write in this channel. You can read and react.")).to_be_visible()
    say(iris, "The half is at 19:25.")
    expect(message(jan, "The half is at 19:25.")).to_be_visible()
    react_to(jan, "The half is at 19:25.", "like")
    expect(message(iris, "The half is at 19:25.").locator(".chip[data-emoji='👍']")).to_have_text("👍1")


def test_a_group_is_renamed_and_left(windows: Windows, demo_stack: Stack) -> None:
    conversation = group(demo_stack, "kira-leave", "Prompt", ["liam-leave"])
    post(demo_stack, "kira-leave", conversation, "Stand by.")
    kira = opened(windows, demo_stack, "kira-leave", "Prompt")
    liam = opened(windows, demo_stack, "liam-leave", "Prompt")
    dialog = details(kira, "Prompt")
    dialog.get_by_role("button", name="Rename").click()
    dialog.get_by_label("Name of the conversation").fill("Prompt corner")
    dialog.get_by_role("button", name="Save").click()
    expect(liam.get_by_role("region", name="Prompt corner")).to_be_visible()

    dialog.get_by_role("button", name="Leave", exact=True).click()
    agree(kira, "Leave")
    expect(kira.get_by_text("You are no longer a member.", exact=False).first).to_be_visible()
    expect(liam.get_by_text("kira-leave left")).to_be_visible()
    expect(liam.get_by_text("kira-leave made you an admin")).to_be_visible()
