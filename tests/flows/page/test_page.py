"""The page as users see it: windows of a real browser on a real stack."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.messaging import act, group, opened, post
from tests.flows.page.pages import MOON, chip, option, quick, react, show_activity, signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser


def test_a_toggle_in_one_window_changes_the_count_in_the_other_within_a_second(
    windows: Windows, demo_stack: Stack
) -> None:
    alice, bob = signed_in(windows, demo_stack, "alice-tap"), signed_in(windows, demo_stack, "bob-tap")
    expect(option(bob, "Stage", "love")).to_have_accessible_name("love, 0")

    option(alice, "Stage", "love").click()

    expect(option(bob, "Stage", "love")).to_have_accessible_name("love, 1")
    expect(option(alice, "Stage", "love")).to_have_accessible_name("love, 1, your reaction")
    expect(option(bob, "Stage", "love")).to_have_attribute("aria-pressed", "false")
    expect(bob.get_by_role("button", name="alice-tap", exact=True)).to_be_visible()

    option(alice, "Stage", "love").click()
    expect(option(bob, "Stage", "love")).to_have_accessible_name("love, 0")


def test_a_second_emoji_on_a_post_replaces_the_first(windows: Windows, demo_stack: Stack) -> None:
    carol, dan = signed_in(windows, demo_stack, "carol-switch"), signed_in(windows, demo_stack, "dan-switch")
    option(carol, "Workshop", "like").click()
    expect(option(dan, "Workshop", "like")).to_have_accessible_name("like, 1")

    option(carol, "Workshop", "wow").click()

    expect(option(dan, "Workshop", "wow")).to_have_accessible_name("wow, 1")
    expect(option(dan, "Workshop", "like")).to_have_accessible_name("like, 0")
    expect(option(carol, "Workshop", "like")).to_have_attribute("aria-pressed", "false")
    expect(dan.get_by_role("button", name="carol-switch", exact=True)).to_be_visible()


def test_an_own_reaction_is_shown_after_a_reload(windows: Windows, demo_stack: Stack) -> None:
    erin = signed_in(windows, demo_stack, "erin-reload")
    option(erin, "Swimmers", "haha").click()
    expect_announced(erin, "haha given.")

    erin.reload()

    expect(option(erin, "Swimmers", "haha")).to_have_accessible_name(re.compile(r"^haha, \d+, your reaction$"))
    expect(option(erin, "Swimmers", "haha")).to_have_attribute("aria-pressed", "true")


def test_a_user_may_have_several_emoji_on_a_message(windows: Windows, demo_stack: Stack) -> None:
    page = signed_in(windows, demo_stack, "frank-several")
    quick(page, MOON, "like").click()
    quick(page, MOON, "More emoji").click()
    page.get_by_role("searchbox", name="Search emoji").fill("crescent moon")
    picker = page.get_by_role("dialog", name="Pick an emoji")
    expect(picker.get_by_role("button", name="crescent moon", exact=True)).to_be_visible()
    page.keyboard.press("Enter")

    for emoji in ("👍", "🌙"):
        expect(chip(page, MOON, emoji)).to_have_text(f"{emoji}1")
        expect(chip(page, MOON, emoji)).to_have_attribute("aria-pressed", "true")


def test_two_tabs_of_one_user_show_the_same_own_reactions(windows: Windows, demo_stack: Stack) -> None:
    first, second = signed_in(windows, demo_stack, "heidi-two"), signed_in(windows, demo_stack, "heidi-two")
    expect(second.get_by_text("It’s a small moon.")).to_be_visible()

    quick(first, MOON, "love").click()
    expect(chip(second, MOON, "❤")).to_have_attribute("aria-pressed", "true")

    chip(second, MOON, "❤").click()
    expect(chip(first, MOON, "❤")).to_have_count(0)
    expect(first.get_by_text("Live", exact=True)).to_be_visible()
    expect(second.get_by_text("Live", exact=True)).to_be_visible()


def test_a_duplicated_tab_is_another_device(windows: Windows, demo_stack: Stack) -> None:
    first = signed_in(windows, demo_stack, "xena-twin")
    with first.expect_popup() as opened:
        first.evaluate("void window.open(location.href)")  # starts with a copy of this tab's sessionStorage
    second = opened.value
    expect(second.get_by_text("Live", exact=True)).to_be_visible()
    devices = [tab.evaluate("sessionStorage.getItem('plaudit.device')") for tab in (first, second)]
    assert devices[0] != devices[1]

    quick(second, MOON, "wow").click()
    expect(chip(first, MOON, "😮")).to_have_attribute("aria-pressed", "true")
    expect(first.get_by_text("Live", exact=True)).to_be_visible()


def test_hovering_a_reaction_shows_who_reacted(windows: Windows, demo_stack: Stack) -> None:
    users = ("ivan-who", "judy-who", "kim-who")
    conversation = group(demo_stack, "leo-who", "Wings", users)
    target = f"messages/{post(demo_stack, 'leo-who', conversation, 'Clap, please.')}"
    for user in users:
        react(demo_stack, user, target, "👏")
    page = opened(windows, demo_stack, "leo-who", "Wings")
    message = "You: Clap, please."

    chip(page, message, "👏").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("kim-who, judy-who and 1 other reacted with")

    act(page, "Clap, please.", "Who reacted")
    people = page.get_by_role("dialog", name="Who reacted").get_by_role("listitem")
    expect(people).to_have_count(3)
    expect(people.first).to_contain_text("kim-who")


def test_a_change_that_the_server_refuses_is_undone_and_explained(windows: Windows, demo_stack: Stack) -> None:
    users = [f"mallory-{number}" for number in range(3)]
    conversation = group(demo_stack, users[0], "Fruit", ["niaj-refused", *users])
    target = f"messages/{post(demo_stack, users[0], conversation, 'Fruit?')}"
    for place, emoji in enumerate("🍇🍈🍉🍊🍋🍌🍍🥭🍎🍐🍑🍒🍓🥝🍅🥥🥑🍆🥔🥕"):
        react(demo_stack, users[place // 8], target, emoji)
    page = opened(windows, demo_stack, "niaj-refused", "Fruit")
    message = "mallory-0: Fruit?"
    expect(chip(page, message, "🥕")).to_have_text("🥕1")

    quick(page, message, "wow").click()

    expect(page.get_by_text("Twenty different emoji are on this already.")).to_be_visible()
    expect(chip(page, message, "😮")).to_have_count(0)


def agree(one: Locator, other: Locator) -> None:
    """Waits until two windows show the same: answers that arrive after the end of the storm still change both."""
    for _ in range(10):
        with suppress(AssertionError):
            expect(other).to_have_accessible_name(one.get_attribute("aria-label") or "")
            return
    pytest.fail(f"one window shows {one.get_attribute('aria-label')}, another {other.get_attribute('aria-label')}")


def test_a_storm_stays_within_the_limits_and_reaches_every_window(windows: Windows, demo_stack: Stack) -> None:
    olivia, peggy = signed_in(windows, demo_stack, "olivia-storm"), signed_in(windows, demo_stack, "peggy-storm")
    show_activity(olivia)
    olivia.get_by_label("Where").select_option("posts/cold-water")

    olivia.get_by_role("button", name="Start a storm").click()
    expect(olivia.get_by_text(re.compile(r"^\d{3,} taps saved, none refused\.$"))).to_be_visible(timeout=30_000)
    expect(option(peggy, "Swimmers", "love")).to_have_accessible_name(re.compile(r"^love, [1-9]\d*$"))
    olivia.get_by_role("button", name="Stop").click()

    agree(option(olivia, "Swimmers", "love"), option(peggy, "Swimmers", "love"))


def test_toggles_made_while_the_server_is_down_are_sent_when_it_is_up(windows: Windows, tmp_path: Path) -> None:
    windows.expects_failed_requests = True
    with Stack(tmp_path / "data", DEMO="true") as stack:
        quinn, rupert = signed_in(windows, stack, "quinn"), signed_in(windows, stack, "rupert")
        option(quinn, "Stage", "like").click()
        expect(option(rupert, "Stage", "like")).to_have_accessible_name("like, 1")

        stack.kill()
        expect(quinn.get_by_text("The server is away. Messages and taps are kept")).to_be_visible()
        option(quinn, "Workshop", "love").click()
        expect(option(quinn, "Workshop", "love")).to_have_attribute("aria-pressed", "true")
        stack.restart()

        expect(option(rupert, "Workshop", "love")).to_have_accessible_name("love, 1", timeout=20_000)
        expect(option(rupert, "Stage", "like")).to_have_accessible_name("like, 1")
        expect(option(quinn, "Stage", "like")).to_have_accessible_name("like, 1, your reaction")
        expect(quinn.get_by_text("The server is away.")).to_be_hidden()
        option(rupert, "Stage", "like").click()
        expect(option(quinn, "Stage", "like")).to_have_accessible_name("like, 2, your reaction")


def test_a_page_reconnects_after_goaway(windows: Windows, tmp_path: Path) -> None:
    windows.expects_failed_requests = True
    with Stack(tmp_path / "data", DEMO="true") as stack:
        frames: list[str] = []
        page = windows.open(f"{stack.http_url}/")
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
        page.get_by_label("Your name", exact=True).fill("ursula")
        page.get_by_role("button", name="Take a seat").click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        option(page, "Stage", "like").click()
        expect_announced(page, "like given.")

        stack.stop()
        expect(page.get_by_text("Live", exact=True)).to_be_hidden()
        assert any('"goaway"' in frame for frame in frames)
        stack.restart()

        expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=30_000)
        option(page, "Stage", "like").click()
        expect(option(page, "Stage", "like")).to_have_accessible_name("like, 0")
        expect_announced(page, "like taken back.")
