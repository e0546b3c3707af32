"""Pinned messages: a bar under the heading, a list, and the same for all members at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows
from tests.flows.page.contrast import faint_texts
from tests.flows.page.messaging import act, ask, direct, group, message, opened, post
from tests.flows.page.pages import hover
from tests.flows.page.test_messenger_access import violations
from tests.running import Stack

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_pinned_message_is_shown_to_the_other_member_until_it_is_unpinned(
    windows: Windows, demo_stack: Stack, scheme: str
) -> None:
    one, other = f"ada-pin-{scheme}", f"bo-pin-{scheme}"
    conversation = direct(demo_stack, one, other)
    post(demo_stack, other, conversation, "The code of the door is 1234.")
    post(demo_stack, one, conversation, "Doors at seven.")
    ada, bo = opened(windows, demo_stack, one, other, scheme=scheme), opened(windows, demo_stack, other, one)
    act(ada, "The code of the door", "Pin")
    bars = [page.get_by_role("region", name="Pinned messages") for page in (ada, bo)]
    for bar in bars:
        expect(bar).to_contain_text("Pinned message")
        expect(bar).to_contain_text(f"{other}: The code of the door is 1234.")
    act(bo, "Doors at seven.", "Pin")
    for bar in bars:
        expect(bar).to_contain_text("2 pinned messages")
        expect(bar).to_contain_text("Doors at seven.")
    assert violations(ada) == []
    assert faint_texts(ada) == []

    opener = bars[0].get_by_role("button", name="All pinned messages")
    opener.click()
    pins = ada.get_by_role("dialog", name="Pinned messages")
    expect(pins.get_by_role("listitem")).to_have_count(2)
    assert violations(ada) == []
    assert faint_texts(ada) == []
    ada.keyboard.press("Escape")
    expect(opener).to_be_focused()
    opener.click()
    pins.get_by_role("button", name="Unpin Doors at seven.").click()
    for bar in bars:
        expect(bar).to_contain_text("Pinned message")
        expect(bar).not_to_contain_text("Doors at seven.")
    act(bo, "The code of the door", "Unpin")
    expect(pins).to_have_count(0)
    for bar in bars:
        expect(bar).to_have_count(0)


def test_a_pinned_message_is_found_far_above(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "cy-pin", "di-pin")
    first = post(demo_stack, "cy-pin", conversation, "The very first line.")
    for number in range(80):
        post(demo_stack, "cy-pin", conversation, f"Line {number}")
    ask(demo_stack, "di-pin", "PUT", f"conversations/{conversation}/pins/{first}", {})
    cy = opened(windows, demo_stack, "cy-pin", "di-pin")
    expect(message(cy, "The very first line.")).to_have_count(0)
    cy.get_by_role("region", name="Pinned messages").get_by_role("button", name="The very first line.").click()
    expect(message(cy, "The very first line.").locator(".bubble")).to_be_focused()
    expect(message(cy, "The very first line.")).to_be_in_viewport()


def test_only_admins_of_a_group_can_pin(windows: Windows, demo_stack: Stack) -> None:
    conversation = group(demo_stack, "eve-pin", "Pins", ["flo-pin"])
    post(demo_stack, "eve-pin", conversation, "Read this.")
    flo = opened(windows, demo_stack, "flo-pin", "Pins")
    hover(message(flo, "Read this.").locator(".bubble")).get_by_role("button", name="More actions").click()
    expect(flo.get_by_role("menuitem", name="Forward", exact=True)).to_be_visible()
    expect(flo.get_by_role("menuitem", name="Pin", exact=True)).to_have_count(0)
