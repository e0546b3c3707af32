"""The messenger of the page for its tests: conversations made without a window, and what a window shows of them."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browsing import Windows
from tests.flows.page.pages import hover, signed_in
from tests.running import Stack


def ask(stack: Stack, user: str, method: str, path: str, body: object = None) -> Any:
    """The answer to a REST request of a user."""
    request = urllib.request.Request(
        f"{stack.http_url}/api/v1/{path}",
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {stack.token(user)}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def direct(stack: Stack, user: str, other: str) -> str:
    """The id of the direct conversation of two users."""
    return str(ask(stack, user, "POST", "conversations", {"participant_ids": [other]})["conversation_id"])


def group(stack: Stack, admin: str, name: str, members: Sequence[str]) -> str:
    """The id of a new group."""
    return str(ask(stack, admin, "POST", "groups", {"name": name, "member_ids": list(members)})["conversation_id"])


def post(stack: Stack, user: str, conversation: str, text: str, **fields: str) -> str:
    """Sends a message without a window; returns its id."""
    answer = ask(stack, user, "POST", f"conversations/{conversation}/messages", {"content": text, **fields})
    return str(answer["message_id"])


def opened(windows: Windows, stack: Stack, user: str, title: str, **window: Any) -> Page:
    """A window of a user in which a conversation is open."""
    page = signed_in(windows, stack, user, **window)
    open_conversation(page, title)
    return page


def row(page: Page, title: str) -> Locator:
    """A conversation in the list."""
    named = page.locator(".conversation-title", has_text=re.compile(f"^{re.escape(title)}$"))
    return page.locator(".conversation").filter(has=named)


def open_conversation(page: Page, title: str) -> None:
    """Opens a conversation from the list; on a phone the list is shown first."""
    chat = page.get_by_role("navigation", name="Views").get_by_role("button", name="Chat")
    if chat.is_visible():
        chat.tap()
    row(page, title).click()
    expect(page.get_by_role("region", name=title, exact=True)).to_be_visible()


def field(page: Page) -> Locator:
    """The field in which a message is written."""
    return page.get_by_role("textbox", name="Message", exact=True)


def say(page: Page, text: str) -> None:
    """Writes a message and sends it."""
    field(page).fill(text)
    field(page).press("Enter")


def message(page: Page, text: str) -> Locator:
    """The message with a text, or with a part of it."""
    return page.locator(".message").filter(has=page.locator(".text", has_text=text))


def texts(page: Page) -> list[str]:
    """The texts of all messages that the open conversation shows."""
    return [text.strip() for text in page.locator(".message .text").all_inner_texts()]


def ticks(page: Page, text: str) -> Locator:
    """The ticks of an own message."""
    return message(page, text).locator(".ticks")


def act(page: Page, text: str, action: str) -> None:
    """Chooses an action from the menu of a message."""
    hover(message(page, text).locator(".bubble")).get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def react_to(page: Page, text: str, name: str) -> None:
    """Taps an emoji of the quick bar over a message."""
    hover(message(page, text).locator(".bubble")).get_by_role("button", name=name, exact=True).click()


def chip_of(page: Page, text: str, emoji: str) -> Locator:
    """The chip of an emoji under a message."""
    return message(page, text).locator(f".chip[data-emoji='{emoji}']")
