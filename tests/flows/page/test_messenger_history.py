"""Long conversations, and what is written while the connection is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import Windows
from tests.flows.page.messaging import chip_of, direct, field, message, open_conversation, opened, post, row, say, texts
from tests.flows.page.pages import react
from tests.running import Stack

pytestmark = pytest.mark.browser

MESSAGES = 80
# The tops of a message in each frame until `count` messages are shown, and in the frames after it: what a user sees.
TOPS_WHILE_LOADING = """
async (oldest, { top, count }) => {
  const log = oldest.closest(".log");
  log.scrollTop = top;
  const tops = [];
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (let left = 5; left > 0; left -= log.querySelectorAll(".message").length >= count) {
    tops.push(oldest.getBoundingClientRect().top);
    await frame();
  }
  return tops;
}
"""
TOP_IN_NEXT_FRAME = """
async (element) => {
  for (let left = 2; left > 0; left -= 1) await new Promise((resolve) => requestAnimationFrame(resolve));
  return element.getBoundingClientRect().top;
}
"""


def top_of(page: Page, text: str) -> float:
    """Where a message is in the next frame, in which its reactions are drawn."""
    return float(message(page, text).evaluate(TOP_IN_NEXT_FRAME))


def test_older_messages_are_loaded_and_what_is_in_view_stays(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "alma-long", "bert-long")
    ids = [post(demo_stack, "bert-long", conversation, f"line {number}.") for number in range(MESSAGES)]
    assert post(demo_stack, "alma-long", conversation, "read them all")
    alma = opened(windows, demo_stack, "alma-long", "bert-long")
    expect(message(alma, "read them all")).to_be_in_viewport()
    shown = alma.locator(".message")
    expect(shown).to_have_count(50)

    tops = shown.first.evaluate(TOPS_WHILE_LOADING, {"top": 0, "count": MESSAGES + 1})
    assert max(tops) - min(tops) < 2
    assert texts(alma) == [*(f"line {number}." for number in range(MESSAGES)), "read them all"]

    top = top_of(alma, "line 40.")
    react(demo_stack, "bert-long", f"messages/{ids[10]}", "🎉")
    expect(chip_of(alma, "line 10.", "🎉")).to_be_attached()
    assert abs(top_of(alma, "line 40.") - top) < 2

    post(demo_stack, "bert-long", conversation, "one more")
    newest = alma.get_by_role("button", name="Newest messages, 1 unread")
    expect(newest).to_be_visible()
    expect(row(alma, "bert-long").locator(".badge")).to_be_visible()
    newest.click()
    expect(message(alma, "one more")).to_be_in_viewport()
    expect(newest).to_have_count(0)
    expect(row(alma, "bert-long").locator(".badge")).to_have_count(0)


def test_unread_messages_begin_at_a_mark(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "cora-mark", "dirk-mark")
    post(demo_stack, "cora-mark", conversation, "before")
    for number in range(40):
        post(demo_stack, "dirk-mark", conversation, f"unread {number}.")
    cora = opened(windows, demo_stack, "cora-mark", "dirk-mark")
    expect(cora.get_by_text("New messages", exact=True)).to_be_in_viewport()
    expect(message(cora, "unread 0.")).to_be_in_viewport()
    expect(message(cora, "unread 39.")).not_to_be_in_viewport()
    cora.get_by_role("button", name="Newest messages").click()
    expect(message(cora, "unread 39.")).to_be_in_viewport()


def test_a_reply_leads_to_a_message_that_is_not_loaded_yet(windows: Windows, demo_stack: Stack) -> None:
    conversation = direct(demo_stack, "edda-quote", "finn-quote")
    first = post(demo_stack, "edda-quote", conversation, "The key is under the third seat.")
    for number in range(70):
        post(demo_stack, "finn-quote", conversation, f"line {number}.")
    post(demo_stack, "edda-quote", conversation, "It still is.", reply_to=first)
    edda = opened(windows, demo_stack, "edda-quote", "finn-quote")
    quote = message(edda, "It still is.").locator(".quote")
    expect(quote).to_contain_text("The key is under the third seat.")
    quote.click()
    expect(edda.locator(".message", has_text="The key is under the third seat.").first).to_be_in_viewport()


def test_messages_written_while_the_server_is_dead_arrive_once_and_in_order(windows: Windows, tmp_path: Path) -> None:
    windows.expects_failed_requests = True
    with Stack(tmp_path / "data", DEMO="true") as stack:
        direct(stack, "gus", "hilda")
        gus, hilda = opened(windows, stack, "gus", "hilda"), opened(windows, stack, "hilda", "gus")
        say(gus, "0")
        expect(message(hilda, "0")).to_be_visible()

        for number in range(1, 4):
            say(gus, str(number))
        stack.kill()
        for number in range(4, 8):
            say(gus, str(number))
        expect(gus.get_by_text("The server is away. Messages and taps are kept")).to_be_visible()
        expect(message(gus, "7").locator(".ticks")).to_have_attribute("title", "Waiting")
        say(hilda, "from the other side")
        stack.restart()

        expect(hilda.locator(".message")).to_have_count(9, timeout=30_000)
        expect(gus.locator(".message")).to_have_count(9, timeout=30_000)
        expect(gus.locator(".ticks.pending")).to_have_count(0)
        assert texts(gus) == texts(hilda)
        assert [text for text in texts(hilda) if text.isdigit()] == [str(number) for number in range(8)]


def test_messages_that_wait_survive_a_reload(windows: Windows, tmp_path: Path) -> None:
    windows.expects_failed_requests = True
    with Stack(tmp_path / "data", DEMO="true") as stack:
        direct(stack, "ida", "jon")
        ida = opened(windows, stack, "ida", "jon")
        stack.kill()
        expect(ida.get_by_text("The server is away.")).to_be_visible()
        say(ida, "written in the dark")
        expect(field(ida)).to_have_value("")
        stack.restart()
        ida.reload()
        jon = opened(windows, stack, "jon", "ida")
        expect(message(jon, "written in the dark")).to_be_visible(timeout=20_000)
        open_conversation(ida, "jon")
        expect(message(ida, "written in the dark")).to_have_count(1)
