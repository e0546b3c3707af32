"""The rows of a thread: days, groups, the mark before unread messages, events."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ROWS = """
const { threadRows, mergedEvent } = await import("/js/ui/messenger/rows.js");
const { eventText } = await import("/js/ui/messenger/texts.js");
const DAY = 86_400_000;
const now = new Date(2026, 2, 6, 20, 0).getTime();
let seq = 0;
const message = (senderId, timestamp, more = {}) => ({
  kind: "message", key: `m${++seq}`, senderId, own: senderId === "me", timestamp, messageSeq: seq,
  deleted: false, ...more });
const event = (type, actorId, userIds) => ({
  kind: "event", key: `e${++seq}`, type, actorId, userIds, timestamp: now, messageSeq: seq });
const short = (rows) => rows.map((row) => row.label ?? (row.type === "message"
  ? `${row.message.senderId}${row.first ? " first" : ""}${row.last ? " last" : ""}` : row.type));
"""


def rows(page: Page, script: str) -> Any:
    """Runs a script with `threadRows`, a fixed time, and helpers that make items."""
    return page.evaluate(f"async () => {{ {ROWS} {script} }}")


def test_each_day_has_a_heading(page: Page) -> None:
    items = "[8, 3, 1, 0].map((days) => message('ada', now - days * DAY))"
    shown = rows(page, f"return short(threadRows({items}, {{ now }}))")
    assert [row for row in shown if "ada" not in row] == ["Thursday 26 February", "Tuesday", "Yesterday", "Today"]


def test_messages_of_one_sender_that_follow_soon_are_a_group(page: Page) -> None:
    items = (
        "[message('ada', now), message('ada', now + 1_000), message('bob', now + 2_000), message('bob', now + 400_000)]"
    )
    shown = rows(page, f"return short(threadRows({items}, {{ now }}))")
    assert shown == ["Today", "ada first", "ada last", "bob first last", "bob first last"]


def test_the_mark_stands_before_the_first_unread_message_of_another(page: Page) -> None:
    items = "[message('ada', now), message('me', now), message('ada', now, {deleted: true}), message('ada', now)]"
    shown = rows(page, f"return short(threadRows({items}, {{ readSeq: 1, now }}))")
    assert shown == ["Today", "ada first last", "me first last", "ada first last", "unread", "ada first last"]
    assert "unread" not in rows(page, f"return short(threadRows({items}, {{ now }}))")


def test_successive_additions_by_one_user_are_one_row(page: Page) -> None:
    added = "'CHANGE_TYPE_MEMBERS_ADDED'"
    left = "event('CHANGE_TYPE_MEMBER_LEFT', 'bob', ['bob'])"
    items = f"[event({added}, 'ada', ['bob']), event({added}, 'ada', ['me']), {left}]"
    shown = rows(
        page,
        f"return threadRows({items}, {{ now }}).slice(1).map(({{ events }}) => eventText(mergedEvent(events), 'me'))",
    )
    assert shown == ["ada added you and bob", "bob left"]
