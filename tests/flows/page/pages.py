"""The page for its tests: a window of a user, the reactions of a post, those of a message."""

from __future__ import annotations

import json
import re
import urllib.request

from playwright.sync_api import Locator, Page, expect

from tests.browsing import Windows
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
) -> Page:
    """A window in which a user is signed in and connected."""
    page = windows.open(f"{stack.http_url}/", width=width, height=height, touch=touch, scheme=scheme)
    page.get_by_label("Your name", exact=True).fill(name)
    page.get_by_role("button", name="Take a seat").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


def option(page: Page, author: str, name: str) -> Locator:
    """The button of one of the six reactions under a post."""
    return page.get_by_role("toolbar", name=re.compile(f"^React to {author}’s? post$")).get_by_role(
        "button", name=re.compile(f"^{name}")
    )


def chip(page: Page, message: str, emoji: str) -> Locator:
    """The chip of one emoji under a message."""
    return page.get_by_role("toolbar", name=f"Reactions to {message}").locator(f".chip[data-emoji='{emoji}']")


def quick_button(page: Page, message: str, name: str) -> Locator:
    """A button of the quick bar of a message."""
    bar = page.get_by_role("toolbar", name=f"Reactions to {message}").get_by_role("group", name="Quick reactions")
    return bar.get_by_role("button", name=name, exact=True)


def quick(page: Page, message: str, name: str) -> Locator:
    """The same button, visible: the pointer is on the message."""
    page.get_by_text(message.partition(": ")[2], exact=True).hover()
    return quick_button(page, message, name)


def react(stack: Stack, user: str, target: str, emoji: str, *, on: bool = True) -> None:
    """Adds a reaction of a user without a window, or removes it."""
    request = urllib.request.Request(
        f"{stack.http_url}/api/v1/reactions:set",
        json.dumps({"target": target, "emoji": emoji, "on": on}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {stack.token(user)}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
