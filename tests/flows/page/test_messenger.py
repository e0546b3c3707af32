"""Two people write to each other in two windows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Windows
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
    texts,
    ticks,
)
from tests.flows.page.pages import signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser


def two(windows: Windows, stack: Stack, one: str, other: str) -> tuple[Page, Page]:
    """Two windows with the conversation of their users."""
    direct(stack, one, other)
    return opened(windows, stack, one, other), opened(windows, stack, other, one)


def test_a_first_message_opens_a_conversation_in_both_windows(windows: Windows, demo_stack: Stack) -> None:
    alice, bob = signed_in(windows, demo_stack, "alice-first"), signed_in(windows, demo_stack, "bob-first")
    # The first conversation with a message opens by itself.
    expect(bob.get_by_role("heading", name="Load-in crew", exact=True)).to_be_visible()
    alice.get_by_role("button", name="New conversation").first.click()
    alice.get_by_label("To", exact=True).fill("bob-first")
    alice.get_by_role("button", name="Start", exact=True).click()
    expect(field(alice)).to_be_focused()

    say(alice, "Are you in the stalls?")

    expect(row(bob, "alice-first")).to_contain_text("Are you in the stalls?")
    expect(row(bob, "alice-first").locator(".badge")).to_have_text(re.compile("^1"))
    expect(bob).to_have_title(re.compile(r"^\(\d+\) Plaudit$"))
    open_conversation(bob, "alice-first")
    expect(message(bob, "Are you in the stalls?")).to_be_visible()
    expect(row(bob, "alice-first").locator(".badge")).to_have_count(0)
    say(bob, "Row F, seat 12.")
    expect(message(alice, "Row F, seat 12.")).to_be_visible()
    assert texts(alice) == texts(bob) == ["Are you in the stalls?", "Row F, seat 12."]


def test_ticks_say_sent_then_delivered_then_read(windows: Windows, demo_stack: Stack) -> None:
    direct(demo_stack, "carol-ticks", "dan-ticks")
    carol = opened(windows, demo_stack, "carol-ticks", "dan-ticks")
    say(carol, "Three knocks mean the curtain goes up.")
    expect(ticks(carol, "Three knocks")).to_have_attribute("title", "Sent")

    # On a phone no conversation opens by itself.
    dan = signed_in(windows, demo_stack, "dan-ticks", width=390, touch=True)
    expect(ticks(carol, "Three knocks")).to_have_attribute("title", "Delivered")

    open_conversation(dan, "carol-ticks")
    expect(ticks(carol, "Three knocks")).to_have_attribute("title", "Read")


def test_an_edit_and_a_deletion_reach_the_other_window(windows: Windows, demo_stack: Stack) -> None:
    erin, frank = two(windows, demo_stack, "erin-edit", "frank-edit")
    say(erin, "Curtain at sevn")
    expect(message(frank, "Curtain at sevn")).to_be_visible()

    field(erin).press("ArrowUp")
    expect(erin.get_by_text("Edit message")).to_be_visible()
    say(erin, "Curtain at seven")
    expect(message(frank, "Curtain at seven")).to_contain_text("edited")
    expect(message(frank, "Curtain at sevn")).to_have_count(0)

    act(erin, "Curtain at seven", "Delete for everyone")
    erin.get_by_role("dialog", name="Delete this message?").get_by_role("button", name="Delete").click()
    expect(message(frank, "Message deleted")).to_be_visible()
    assert texts(erin) == ["Message deleted"]
    expect(row(frank, "erin-edit")).to_contain_text("Message deleted")


def test_a_reply_shows_what_it_answers_and_leads_to_it(windows: Windows, demo_stack: Stack) -> None:
    grace, heidi = two(windows, demo_stack, "grace-reply", "heidi-reply")
    say(grace, "Who has the moon?")
    act(heidi, "Who has the moon?", "Reply")
    expect(heidi.get_by_text("Reply to grace-reply")).to_be_visible()
    say(heidi, "Props does.")

    quote = message(grace, "Props does.").locator(".quote")
    expect(quote).to_contain_text("Who has the moon?")
    quote.click()
    expect(message(grace, "Who has the moon?").first.locator(".bubble")).to_be_focused()


def test_a_reaction_to_a_message_is_seen_by_both(windows: Windows, demo_stack: Stack) -> None:
    ivan, judy = two(windows, demo_stack, "ivan-react", "judy-react")
    say(ivan, "It is a small moon.")
    react_to(judy, "It is a small moon.", "love")
    expect(chip_of(ivan, "It is a small moon.", "❤")).to_have_text("❤️1")
    expect(chip_of(judy, "It is a small moon.", "❤")).to_have_attribute("aria-pressed", "true")
    chip_of(ivan, "It is a small moon.", "❤").click()
    expect(chip_of(judy, "It is a small moon.", "❤")).to_have_text("❤️2")


def test_text_is_never_markup_and_links_are_plain(windows: Windows, demo_stack: Stack) -> None:
    kim, leo = two(windows, demo_stack, "kim-text", "leo-text")
    text = '<img src=x onerror="alert(1)"> see https://example.org/a_(b). or javascript:alert(1)'
    say(kim, text)
    shown = message(leo, "see https://example.org")
    expect(shown.locator(".text")).to_have_text(text)
    expect(shown.locator("img")).to_have_count(0)
    expect(shown.get_by_role("link")).to_have_count(1)
    link = shown.get_by_role("link", name="https://example.org/a_(b)", exact=True)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("href", "https://example.org/a_(b)")


def test_a_muted_conversation_is_silent_and_a_pinned_one_is_first(windows: Windows, demo_stack: Stack) -> None:
    direct(demo_stack, "mia-mute", "noah-mute")
    mia = opened(windows, demo_stack, "mia-mute", "noah-mute")
    mia.get_by_role("button", name="Details", exact=True).click()
    details = mia.get_by_role("dialog", name="noah-mute")
    details.get_by_role("button", name="Mute", exact=True).click()
    details.get_by_role("button", name="Pin", exact=True).click()
    expect(details.get_by_role("button", name="Muted")).to_have_attribute("aria-pressed", "true")
    expect(details.get_by_role("button", name="Pinned")).to_have_attribute("aria-pressed", "true")
    details.get_by_role("button", name="Close").click()
    open_conversation(mia, "Load-in crew")
    message(mia, "House opens at seven.").scroll_into_view_if_needed()
    expect(mia).to_have_title("Plaudit")

    post(demo_stack, "noah-mute", direct(demo_stack, "mia-mute", "noah-mute"), "pst")
    expect(row(mia, "noah-mute").locator(".badge")).to_have_text(re.compile("^1"))
    expect(mia).to_have_title("Plaudit")
    expect(mia.locator(".conversation").first).to_contain_text("noah-mute")
    expect(row(mia, "noah-mute")).to_have_accessible_name(re.compile("muted.*pinned"))


def test_a_draft_stays_with_its_conversation(windows: Windows, demo_stack: Stack) -> None:
    direct(demo_stack, "olga-draft", "pat-draft")
    olga = opened(windows, demo_stack, "olga-draft", "pat-draft")
    field(olga).fill("not yet")
    open_conversation(olga, "Load-in crew")
    expect(field(olga)).to_have_value("")
    expect(row(olga, "pat-draft")).to_contain_text("Draft: not yet")
    olga.reload()
    open_conversation(olga, "pat-draft")
    expect(field(olga)).to_have_value("not yet")


def test_nothing_can_be_attached(windows: Windows, demo_stack: Stack) -> None:
    quinn = opened(windows, demo_stack, "quinn-attach", "Load-in crew")
    expect(quinn.locator("input[type='file']")).to_have_count(0)
    expect(
        quinn.get_by_role("region", name="Messenger").get_by_role("button", name=re.compile("attach", re.IGNORECASE))
    ).to_have_count(0)
