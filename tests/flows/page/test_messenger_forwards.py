"""Forwarding a message to other conversations."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import act, direct, group, message, open_conversation, opened, post
from tests.flows.page.test_messenger_access import violations
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_message_is_forwarded_to_two_conversations_with_its_mark(windows: Windows, demo_stack: Stack) -> None:
    post(demo_stack, "kai-fwd", direct(demo_stack, "kai-fwd", "lea-fwd"), "The plan is on the wall.")
    direct(demo_stack, "kai-fwd", "max-fwd")
    group(demo_stack, "kai-fwd", "Crew two", ["max-fwd"])
    kai = opened(windows, demo_stack, "kai-fwd", "lea-fwd")
    act(kai, "The plan is on the wall.", "Forward")
    dialog = kai.get_by_role("dialog", name="Forward to")
    search = dialog.get_by_label("Search conversations")
    expect(search).to_be_focused()
    assert violations(kai) == []
    assert faint_texts(kai) == []
    search.fill("max")
    expect(dialog.get_by_role("checkbox")).to_have_count(1)
    search.press("Enter")
    expect(search).to_have_value("")
    dialog.get_by_role("checkbox", name="Crew two").click()
    dialog.get_by_role("button", name="Forward to 2").click()
    expect(dialog).to_have_count(0)
    for title in ("Crew two", "max-fwd"):
        open_conversation(kai, title)
        expect(message(kai, "The plan is on the wall.")).to_have_count(1)
        expect(message(kai, "The plan is on the wall.")).to_contain_text("Forwarded")
        expect(message(kai, "The plan is on the wall.")).not_to_contain_text("many times")
        expect(message(kai, "The plan is on the wall.").locator(".ticks.sent")).to_be_visible()
    assert violations(kai) == []
    assert faint_texts(kai) == []


def test_the_forward_dialog_works_by_keyboard_and_gives_the_focus_back(windows: Windows, demo_stack: Stack) -> None:
    post(demo_stack, "nat-fwd", direct(demo_stack, "nat-fwd", "obi-fwd"), "Pass it on.")
    nat = opened(windows, demo_stack, "nat-fwd", "obi-fwd")
    bubble = message(nat, "Pass it on.").locator(".bubble").first
    bubble.focus()
    nat.keyboard.press("f")
    expect(nat.get_by_role("dialog", name="Forward to")).to_be_visible()
    nat.keyboard.press("Escape")
    expect(bubble).to_be_focused()
    nat.keyboard.press("f")
    nat.get_by_label("Search conversations").fill("obi")
    nat.keyboard.press("ArrowDown")
    nat.keyboard.press("Space")
    nat.keyboard.press("Enter")
    expect(message(nat, "Pass it on.")).to_have_count(2)
    expect(message(nat, "Pass it on.").last).to_contain_text("Forwarded")


def test_what_was_forwarded_again_and_again_says_so(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "pia-fwd", "quy-fwd")
    last = post(demo_stack, "pia-fwd", conversation, "A chain letter.")
    for _ in range(5):
        last = post(demo_stack, "pia-fwd", conversation, "", forward_of=last)
    pia = opened(windows, demo_stack, "pia-fwd", "quy-fwd")
    expect(message(pia, "A chain letter.").last).to_contain_text("Forwarded many times")
