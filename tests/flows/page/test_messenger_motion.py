"""Dialogs of the messenger appear without a movement where the system prefers reduced motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Motion, Windows
from tests.flows.page.messaging import act, ask, direct, opened, post
from tests.running import Stack

pytestmark = pytest.mark.browser

# Collects what moves for longer than 10 ms from now on: animations and transitions of styles, and those of scripts.
RECORD = """() => {
  window.moved = [];
  const note = (what, duration) => duration > 10 && window.moved.push(what);
  const animate = Element.prototype.animate;
  Element.prototype.animate = function (frames, timing) {
    note("script", timing.duration ?? timing);
    return animate.call(this, frames, timing);
  };
  const noteAll = () => {
    for (const one of document.getAnimations()) {
      note(one.animationName ?? one.transitionProperty ?? "script", one.effect.getComputedTiming().duration);
    }
  };
  for (const type of ["animationstart", "transitionrun"]) addEventListener(type, noteAll);
}"""
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_dialogs_move_only_where_the_system_does_not_prefer_reduced_motion(
    windows: Windows, demo_stack: Stack, motion: Motion
) -> None:
    user, other = f"ivy-{motion}", f"jon-{motion}"
    conversation = direct(demo_stack, user, other)
    for text in ("Mind the gap.", "Row F, seat 12."):
        message_id = post(demo_stack, other, conversation, text)
        ask(demo_stack, user, "PUT", f"conversations/{conversation}/pins/{message_id}", {})
    page = opened(windows, demo_stack, user, other, motion=motion)
    pins = page.get_by_role("region", name="Pinned messages").get_by_role("button", name="All pinned messages")
    openers: Mapping[str, Callable[[], None]] = {
        "Forward to": lambda: act(page, "Mind the gap.", "Forward"),
        "Report message": lambda: act(page, "Mind the gap.", "Report"),
        "Pinned messages": pins.click,
        "Settings": page.get_by_role("button", name=f"Settings of {user}").click,
    }
    page.evaluate(RECORD)
    moved = {name: movements(page, name, open_) for name, open_ in openers.items()}
    expected = {"picker-in"} if motion == "no-preference" else set()
    assert {name: found & {"picker-in"} if expected else found for name, found in moved.items()} == dict.fromkeys(
        openers, expected
    )


def movements(page: Page, name: str, open_: Callable[[], None]) -> set[str]:
    """What moves while a dialog opens and closes."""
    dialog = page.get_by_role("dialog", name=name, exact=True)
    open_()
    expect(dialog).to_be_visible()
    page.evaluate(FRAMES)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.evaluate(FRAMES)
    return set(page.evaluate("window.moved.splice(0)"))
