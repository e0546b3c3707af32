"""The page for its tests: a window of a user, the reactions of a post, those of a message of the crew."""

from __future__ import annotations

import json
import re
import urllib.request
from contextlib import suppress

from playwright.sync_api import Locator, Page, expect

from tests.browsing import Motion, Windows
from tests.running import Stack

MOON = "Props: It’s a small moon."


def signed_in(
    windows: Windows,
    stack: Stack,
    name: str,
    *,
    width: int = 1440,
    height: int = 900,
    touch: bool = False,
    scheme: str = "light",
    motion: Motion = "reduce",
) -> Page:
    """A window in which a user is signed in and connected."""
    page = windows.open(f"{stack.http_url}/", width=width, height=height, touch=touch, scheme=scheme, motion=motion)
    page.get_by_label("Your name", exact=True).fill(name)
    page.get_by_role("button", name="Take a seat").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


def option(page: Page, author: str, name: str) -> Locator:
    """The button of one of the six reactions under a post."""
    return page.get_by_role("toolbar", name=re.compile(f"^React to {author}’s? post$")).get_by_role(
        "button", name=re.compile(f"^{name}")
    )


def show_activity(page: Page) -> None:
    """Shows the panels of the activity on a wide screen."""
    page.get_by_role("button", name="Activity", exact=True).click()


def chip(page: Page, message: str, emoji: str) -> Locator:
    """The chip of one emoji under a message, `Props: It’s a small moon.`, of the open conversation."""
    return page.get_by_role("group", name=f"Reactions to {message}").locator(f".chip[data-emoji='{emoji}']")


def hover(bubble: Locator) -> Locator:
    """The quick bar of a message with the pointer on it. Messages that are loaded meanwhile may move it away once."""
    bar = bubble.locator("xpath=..").get_by_role("toolbar")
    for _ in range(3):
        bubble.hover()
        with suppress(AssertionError):
            expect(bar).to_be_visible(timeout=2_000)
            return bar
    raise AssertionError("the quick bar does not appear")


def quick(page: Page, message: str, name: str) -> Locator:
    """A button of the quick bar of a message, `Props: It’s a small moon.`, visible."""
    bubble = page.locator(".bubble").filter(has_text=message.partition(": ")[2])
    return hover(bubble).get_by_role("button", name=name, exact=True)


def react(stack: Stack, user: str, target: str, emoji: str, *, on: bool = True) -> None:
    """Adds a reaction of a user without a window, or removes it."""
    request = urllib.request.Request(
        f"{stack.http_url}/api/v1/reactions:set",
        json.dumps({"target": target, "emoji": emoji, "on": on}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {stack.token(user)}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
