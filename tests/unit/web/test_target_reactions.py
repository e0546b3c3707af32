"""The shown reactions of a target: counts, own reactions and pending taps."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

TARGET_REACTIONS = """
const { TargetReactions } = await import("/js/state/target_reactions.js");
const counts = (...pairs) => pairs.map(([emoji, count]) => ({ emoji, count: String(count) }));
const shown = (target) => ({ own: [...target.own], counts: [...target.counts].map(([e, n]) => [e, Number(n)]) });
"""


def target_reactions(page: Page, script: str) -> Any:
    """Runs a script that uses `TargetReactions`; returns its result."""
    return page.evaluate(f"async () => {{ {TARGET_REACTIONS} {script} }}")


def test_a_toggle_is_shown_before_the_server_has_answered(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 5n, reactions: counts(["👍", 2]) });
        one.tap("👍");
        return shown(one);
        """,
    )
    assert after == {"own": ["👍"], "counts": [["👍", 3]]}


def test_a_refused_toggle_leaves_the_counts_unchanged(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 5n, reactions: counts(["👍", 2]) });
        one.onRefused(one.tap("👍"));
        return shown(one);
        """,
    )
    assert after == {"own": [], "counts": [["👍", 2]]}


def test_a_push_that_contains_the_toggle_does_not_count_it_twice(page: Page) -> None:
    during, after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.tap("👍");
        one.onCounts({ version: 7n, reactions: counts(["👍", 1]) });
        const during = shown(one);
        one.onAnswer({ emoji: "👍", on: true, version: 7n, reactions: [] });
        return [during, shown(one)];
        """,
    )
    assert during == after == {"own": ["👍"], "counts": [["👍", 1]]}


def test_an_answer_without_counts_leaves_the_toggle_counted_until_counts_arrive(page: Page) -> None:
    answered, followed = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: true });
        one.onCounts({ version: 5n, reactions: counts(["❤", 4]) });
        one.tap("❤");
        one.onAnswer({ emoji: "❤", on: true, version: 9n, reactions: [] });
        const answered = shown(one);
        one.onCounts({ version: 9n, reactions: counts(["❤", 5]) });
        return [answered, shown(one)];
        """,
    )
    assert answered == followed == {"own": ["❤"], "counts": [["❤", 5]]}


def test_counts_older_than_the_displayed_ones_are_dropped(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 9007199254740995n, reactions: counts(["👍", 3]) });
        one.onCounts({ version: 9007199254740994n, reactions: counts(["👍", 2]) });
        return shown(one);
        """,
    )
    assert after["counts"] == [["👍", 3]]


def test_switching_a_single_choice_never_shows_two_or_none(page: Page) -> None:
    tapped, answered = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: true });
        one.onOwnLoaded({ emojis: ["👍"], version: 3n });
        one.onCounts({ version: 3n, reactions: counts(["👍", 1]) });
        const slot = one.tap("😮");
        const tapped = { ...shown(one), asks: one.nextChange(slot) };
        one.onAnswer({ emoji: "😮", on: true, version: 4n, reactions: counts(["😮", 1]) });
        return [tapped, shown(one)];
        """,
    )
    assert tapped == {"own": ["😮"], "counts": [["😮", 1]], "asks": {"emoji": "😮", "on": True}}
    assert answered == {"own": ["😮"], "counts": [["😮", 1]]}


def test_repeated_toggles_before_the_answer_end_in_the_state_of_the_last_one(page: Page) -> None:
    asked = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        const slot = one.tap("👍");
        const first = one.nextChange(slot);
        one.tap("👍");
        one.onAnswer({ emoji: "👍", on: true, version: 1n, reactions: counts(["👍", 1]) });
        return [first, one.nextChange(slot), shown(one).own];
        """,
    )
    assert asked == [{"emoji": "👍", "on": True}, {"emoji": "👍", "on": False}, []]


def test_an_older_change_of_another_device_is_ignored(page: Page) -> None:
    own = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onOwnLoaded({ emojis: ["👍"], version: 8n });
        one.onOwnChange({ added: "", removed: "👍", version: 7n });
        const before = shown(one).own;
        one.onOwnChange({ added: "🎉", removed: "", version: 9n });
        return [before, shown(one).own];
        """,
    )
    assert own == [["👍"], ["👍", "🎉"]]
