"""What a user has written and not sent, in the list and in the user's other windows."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows
from tests.flows.page.messaging import ask, direct, field, open_conversation, opened, row
from tests.flows.page.pages import signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_draft_follows_to_the_other_window_and_ends_with_the_message(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "gil-draft", "hob-draft")
    laptop = opened(windows, demo_stack, "gil-draft", "hob-draft")
    phone = signed_in(windows, demo_stack, "gil-draft")
    open_conversation(phone, "Load-in crew")
    field(laptop).press_sequentially("See you at")
    expect(row(phone, "hob-draft")).to_contain_text("Draft: See you at")
    open_conversation(phone, "hob-draft")
    expect(field(phone)).to_have_value("See you at")
    field(phone).press_sequentially(" noon")
    expect(field(laptop)).to_have_value("See you at noon")
    field(laptop).press("Enter")
    expect(field(phone)).to_have_value("")
    expect(row(phone, "hob-draft")).to_contain_text("You: See you at noon")
    assert ask(demo_stack, "gil-draft", "GET", f"conversations/{conversation}")["conversation"]["draft"] == ""


def test_a_draft_of_another_window_does_not_replace_what_is_being_written(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "ida-draft", "jim-draft")
    ida = opened(windows, demo_stack, "ida-draft", "jim-draft")
    field(ida).press_sequentially("Mine")
    ask(demo_stack, "ida-draft", "PUT", f"conversations/{conversation}/draft", {"content": "Other"})
    field(ida).press_sequentially(" stays")
    expect(field(ida)).to_have_value("Mine stays")
    other = signed_in(windows, demo_stack, "ida-draft")
    expect(row(other, "jim-draft")).to_contain_text("Draft: Mine stays")
    expect(field(ida)).to_have_value("Mine stays")
