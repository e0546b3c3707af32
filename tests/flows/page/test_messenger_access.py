"""The messenger by keyboard, for screen readers, on a phone, in two themes."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import (
    act,
    chip_of,
    direct,
    field,
    message,
    open_conversation,
    opened,
    post,
    react_to,
    row,
    say,
)
from tests.flows.page.pages import signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser

LINES = 8


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, each with its first element."""
    found = Axe().run(page).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:160]}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_messenger(windows: Windows, demo_stack: Stack, scheme: str) -> None:
    page = opened(windows, demo_stack, f"ann-axe-{scheme}", "Load-in crew", scheme=scheme)
    expect(page.locator(".message")).to_have_count(LINES)
    react_to(page, "It’s a small moon.", "wow")
    say(page, "See https://example.org/moon")
    expect(message(page, "example.org").locator(".ticks.sent")).to_be_visible()
    act(page, "It’s a small moon.", "Reply")
    assert violations(page) == []
    assert faint_texts(page) == []
    message(page, "example.org").locator(".bubble").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu", name="Actions")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    act(page, "example.org", "Delete for everyone")
    assert violations(page) == []
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(message(page, "Message deleted")).to_be_visible()
    for button in ("Details", "New conversation", "Keyboard shortcuts"):
        page.get_by_role("button", name=button, exact=True).first.click()
        expect(page.locator("dialog[open]")).to_be_visible()
        assert violations(page) == []
        assert faint_texts(page) == []
        page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_list_or_a_conversation(windows: Windows, demo_stack: Stack, scheme: str) -> None:
    user = f"bea-phone-{scheme}"
    page = signed_in(windows, demo_stack, user, width=390, height=844, touch=True, scheme=scheme)
    expect(page.locator("#chat-badge")).to_have_text(str(LINES))
    page.get_by_role("navigation", name="Views").get_by_role("button", name="Chat").tap()
    expect(row(page, "Load-in crew")).to_be_visible()
    expect(field(page)).to_have_count(0)
    assert violations(page) == []

    row(page, "Load-in crew").tap()
    expect(field(page)).to_be_visible()
    expect(row(page, "Load-in crew")).to_be_hidden()
    expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
    field(page).fill("Two minutes")
    page.get_by_role("button", name="Send").tap()
    expect(message(page, "Two minutes").locator(".ticks.sent")).to_be_visible()
    box = field(page).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []
    assert faint_texts(page) == []

    page.get_by_role("button", name="Back to the conversations").tap()
    expect(row(page, "Load-in crew")).to_contain_text("You: Two minutes")
    expect(field(page)).to_be_hidden()


def test_a_long_press_opens_the_actions_of_a_message(windows: Windows, demo_stack: Stack) -> None:
    page = opened(windows, demo_stack, "cyd-press", "Load-in crew", width=390, height=844, touch=True)
    bubble = message(page, "The whole moon?").locator(".bubble")
    bubble.dispatch_event("pointerdown", {"pointerType": "touch"})
    menu = page.get_by_role("menu", name="Actions")
    expect(menu).to_be_visible()
    menu.get_by_role("menuitem", name="wow").tap()
    expect(chip_of(page, "The whole moon?", "😮")).to_have_attribute("aria-pressed", "true")
    expect(menu).to_be_hidden()


def test_the_keyboard_alone_is_enough_to_chat(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "dee-keys", "eli-keys")
    for text in ("one", "two", "three"):
        post(demo_stack, "eli-keys", conversation, text)
    page = signed_in(windows, demo_stack, "dee-keys")
    # The demo's conversations come last, and then nothing moves in the list.
    expect(page.locator(".conversation")).to_have_count(3)
    row(page, "eli-keys").focus()
    page.keyboard.press("Enter")
    expect(field(page)).to_be_focused()
    page.keyboard.type("four")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("five")
    page.keyboard.press("Enter")
    expect(message(page, "four")).to_have_text(re.compile("four\nfive"))

    page.keyboard.press("Shift+Tab")
    expect(message(page, "three").locator(".bubble")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(message(page, "two").locator(".bubble")).to_be_focused()
    assert page.locator(".log [tabindex='0']").count() == 1
    page.keyboard.press("ArrowRight")
    expect(message(page, "two").get_by_role("button", name="like", exact=True)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(chip_of(page, "two", "❤")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(message(page, "two").locator(".bubble")).to_be_focused()
    page.keyboard.press("r")
    expect(field(page)).to_be_focused()
    expect(page.get_by_text("Reply to eli-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Reply to eli-keys")).to_be_hidden()
    page.keyboard.press("ArrowUp")
    expect(field(page)).to_have_value("four\nfive")
    page.keyboard.press("Escape")

    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("region", name="eli-keys", exact=True)).to_be_hidden()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_role("region", name="eli-keys", exact=True)).to_be_visible()
    page.keyboard.press("Alt+n")
    expect(page.get_by_label("To", exact=True)).to_be_focused()


def test_new_messages_are_announced(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "fritz-say", "gerd-say")
    page = opened(windows, demo_stack, "fritz-say", "gerd-say")
    expect(row(page, "Load-in crew").locator(".badge")).to_have_text(re.compile(f"^{LINES}"))
    post(demo_stack, "gerd-say", conversation, "Stand by, please.")
    expect_announced(page, "gerd-say: Stand by, please.")


def test_a_middle_window_shows_one_pane_beside_the_posts(windows: Windows, demo_stack: Stack) -> None:
    page = opened(windows, demo_stack, "hugo-middle", "Load-in crew", width=1024, height=768)
    expect(row(page, "Load-in crew")).to_be_hidden()
    field(page).press("Escape")
    expect(row(page, "Load-in crew")).to_be_focused()
    open_conversation(page, "Foyer")
    expect(page.get_by_text("Stage added you", exact=False)).to_be_visible()
