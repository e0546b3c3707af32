"""The page by keyboard, on a phone, in two themes, and on a server without demo tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.pages import MOON, chip, option, quick, show_activity, signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_page_of_a_server_without_demo_tokens_requests_a_token_immediately(windows: Windows, tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        page = windows.open(f"{stack.http_url}/")
        expect(page.get_by_text("This server gives no demo tokens. Paste a token of your own")).to_be_visible()
        expect(page.get_by_text("plaudit token mint NAME")).to_be_visible()
        expect(page.get_by_label("Your name", exact=True)).to_be_hidden()
        field, enter = page.get_by_label("Token"), page.get_by_role("button", name="Take a seat")
        expect(field).to_be_focused()
        assert page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0

        windows.expects_failed_requests = True
        for text, said in (
            ("", "This is no token of a user."),
            ("sybil", "This is no token of a user."),
            (stack.token("sybil")[:-40], "The server does not accept this token."),
        ):
            field.fill(text)
            enter.click()
            expect(page.get_by_role("alert")).to_contain_text(said)

        token = stack.token("sybil")
        field.fill(f"Bearer {token[:60]}\n{token[60:]}\n")
        enter.click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        option(page, "Stage", "sad").click()
        expect_announced(page, "sad given.")
        show_activity(page)
        expect(page.get_by_role("button", name="Start a storm")).to_be_disabled()
        expect(page.get_by_text("A storm needs demo tokens")).to_be_visible()


def test_each_post_is_one_tab_stop_with_arrows_within(windows: Windows, demo_stack: Stack) -> None:
    page = signed_in(windows, demo_stack, "wendy-keys")
    toolbars = page.get_by_role("toolbar", name="React to ")
    expect(toolbars).to_have_count(3)
    for toolbar in toolbars.all():
        expect(toolbar.locator("button[tabindex='0']")).to_have_count(1)
    option(page, "Stage", "like").focus()
    page.keyboard.press("End")
    expect(option(page, "Stage", "angry")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(option(page, "Stage", "like")).to_be_focused()


def test_dialogs_of_a_message_return_the_focus_to_their_button(windows: Windows, demo_stack: Stack) -> None:
    page = signed_in(windows, demo_stack, "yves-focus")
    quick(page, MOON, "wow").click()
    expect(chip(page, MOON, "😮")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 0)
    page.locator(".bubble").filter(has_text="It’s a small moon.").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Who reacted").press("Enter")
    expect(page.get_by_role("dialog", name="Who reacted")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Who reacted")).to_be_hidden()
    expect(page.locator(".bubble").filter(has_text="It’s a small moon.")).to_be_focused()
    page.keyboard.press("ArrowRight")
    more = page.get_by_role("toolbar", name=f"Actions for {MOON}").get_by_role("button", name="More emoji")
    more.press("Enter")
    expect(page.get_by_role("searchbox", name="Search emoji")).to_be_focused()
    picker = page.get_by_role("dialog", name="Pick an emoji").bounding_box()
    assert picker is not None
    assert picker["x"] + picker["width"] <= 1440 - 8
    page.keyboard.press("Escape")
    expect(more).to_be_focused()


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_shows_one_view_at_a_time_and_never_scrolls_sideways(
    windows: Windows, demo_stack: Stack, width: int
) -> None:
    page = signed_in(windows, demo_stack, f"trent-{width}", width=width, touch=True)
    for view, heading in (("Posts", "Stage"), ("Chat", "Messages"), ("Activity", "Storm")):
        page.get_by_role("navigation").get_by_role("button", name=view).tap()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.get_by_role("heading", name="Messages", exact=True)).to_be_hidden()


def test_every_control_is_usable_by_keyboard(windows: Windows, demo_stack: Stack) -> None:
    page = signed_in(windows, demo_stack, "victor-keys")
    option(page, "Workshop", "wow").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(option(page, "Workshop", "sad")).to_have_accessible_name("sad, 1, your reaction")
    expect(page.get_by_role("tooltip")).to_contain_text("reacted with sad")

    message = "Doors: The whole moon?"
    page.locator(".bubble").filter(has_text="The whole moon?").focus()
    more = page.get_by_role("toolbar", name=f"Actions for {message}").get_by_role("button", name="More emoji")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox", name="Search emoji")).to_be_focused()
    expect(
        page.get_by_role("dialog", name="Pick an emoji").get_by_role("button", name="love", exact=True)
    ).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")

    expect(chip(page, message, "❤")).to_have_attribute("aria-pressed", "true")
    expect(more).to_be_focused()


def test_the_theme_follows_the_system_until_the_user_chooses(windows: Windows, demo_stack: Stack) -> None:
    page = windows.open(f"{demo_stack.http_url}/", scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_label("Your name", exact=True).fill("walter-theme")
    page.get_by_role("button", name="Take a seat").click()
    page.get_by_role("button", name="Switch to dark").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
