"""The emoji of the picker, its search, and the sentence of those who reacted."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_every_emoji_of_the_picker_survives_being_stripped_and_shown_again(page: Page) -> None:
    wrong = page.evaluate(
        """async () => {
        const { displayForm, loadEmoji } = await import("/js/emoji.js");
        const raw = await (await fetch("/emoji.json")).json();
        const lines = raw.flatMap(({ emoji }) => emoji.map((line) => line.split(" ")[0]));
        const listed = (await loadEmoji()).flatMap(({ emoji }) => emoji);
        return lines.filter((line, index) => displayForm(listed[index].emoji) !== line);
        }"""
    )
    assert wrong == []


@pytest.mark.parametrize(
    ("query", "first"), [("love", "❤"), ("pizza", "🍕"), ("full moon", "🌕"), ("no such thing", None)]
)
def test_search_finds_emoji_by_name_and_keyword(page: Page, query: str, first: str | None) -> None:
    found = page.evaluate(
        """async (query) => {
        const { loadEmoji, search } = await import("/js/emoji.js");
        return search(await loadEmoji(), query).map(({ emoji }) => emoji);
        }""",
        query,
    )
    assert (first in found[:8]) if first else not found


@pytest.mark.parametrize(
    ("names", "total", "text"),
    [
        ([], 0, ""),
        (["alice"], 1, "alice"),
        (["alice", "me"], 2, "you and alice"),
        (["alice", "bob", "carol"], 47, "alice, bob and 45 others"),
        (["alice", "bob"], 3, "alice, bob and 1 other"),
        ([], 3, "3 others"),
    ],
)
def test_a_line_names_two_users_and_counts_the_others(page: Page, names: list[str], total: int, text: str) -> None:
    line = page.evaluate(
        """async ([names, total]) => {
        const { reactorsSentence } = await import("/js/ui/reactors.js");
        return reactorsSentence(names, BigInt(total), "me");
        }""",
        [names, total],
    )
    assert line == text
