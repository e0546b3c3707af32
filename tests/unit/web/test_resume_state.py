"""What a client must know to resume its session."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

RESUME_STATE = """
const { ResumeState } = await import("/js/net/resume_state.js");
const one = new ResumeState();
const welcome = { session: "s1", resume_token: "t1" };
const own = (seq) => ({ type: "own_reaction_update", topic: "users/me", target: "posts/1", version: "7", seq });
const state = (version) => ({ type: "reaction_update", topic: "posts/1", version });
"""


def resume_state(page: Page, script: str) -> Any:
    """Runs a script with a `ResumeState`; returns its result."""
    return page.evaluate(f"async () => {{ {RESUME_STATE} {script} }}")


def test_without_a_session_no_resume_is_sent(page: Page) -> None:
    asked = resume_state(
        page, 'return [one.request(["posts/1"]), one.onOpened(welcome), (one.reset(), one.request([]))];'
    )
    assert asked == [None, [], None]


def test_a_session_is_resumed_from_the_last_push(page: Page) -> None:
    asked, known = resume_state(
        page,
        """
        one.onOpened(welcome);
        one.onPush(state("9007199254740995"));
        one.onPush(state("9007199254740993"));
        one.onPush(own(1));
        one.onPong({ seq: "1", resume_token: "t2" });
        const asked = one.request(["posts/1", "posts/2", "users/me"]);
        return [asked, one.onOpened({ ...welcome, verdict: "partial", seq: "1" })];
        """,
    )
    assert asked == {
        "session": "s1",
        "resume_token": "t2",
        "seq": "1",
        "topics": [
            {"topic": "users/me", "version": "0"},
            {"topic": "posts/1", "version": "9007199254740995"},
            {"topic": "posts/2", "version": "0"},
        ],
    }
    assert known == ["users/me", "posts/1", "posts/2"]


def test_a_reset_session_has_no_topics_and_counts_from_0_again(page: Page) -> None:
    known, seq = resume_state(
        page,
        """
        one.onOpened(welcome);
        one.onPush(own(1));
        one.request(["posts/1"]);
        return [one.onOpened({ session: "s2", resume_token: "t9", verdict: "reset", seq: "0" }), String(one.seq)];
        """,
    )
    assert (known, seq) == ([], "0")


def test_a_gap_in_the_numbers_is_detected_at_the_next_push_or_pong(page: Page) -> None:
    noticed = resume_state(
        page,
        """
        one.onOpened(welcome);
        const complete = [one.onPush(own(1)), one.onPush(own(2)), one.onPush(own(2)), one.onPush(own(4))];
        return [complete, one.onPong({ seq: "2" }), one.onPong({ seq: "3" }), String(one.seq)];
        """,
    )
    assert noticed == [[True, True, True, False], True, False, "2"]


def test_a_resume_fits_into_the_first_message(page: Page) -> None:
    size, topics = resume_state(
        page,
        """
        one.onOpened({ session: "s".repeat(64), resume_token: "t".repeat(300) });
        const asked = one.request(Array.from({ length: 128 }, (_, n) => `messages/${"x".repeat(60)}${n}`));
        const frame = { type: "resume", id: 1, device: "d".repeat(64), client: "c", ...asked };
        return [JSON.stringify(frame).length, asked.topics.length];
        """,
    )
    assert size < 4096
    assert topics > 20
